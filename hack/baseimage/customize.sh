#!/bin/bash
# The customize hook of hack/base-images.sh, run by mmdebstrap when the
# packages are installed: customize.sh CERTIFICATES ROOT
#
# CERTIFICATES holds the host's extra certificates, in the form of
# pem-lines.awk; ROOT is the root file system in the making.
set -euo pipefail
export LC_ALL=C

certificates=$1 root=$2
here=$(cd "$(dirname "$0")" && pwd)

# Trust what the host trusts beyond Debian's own list, unless the suite knows
# the certificate itself.
known=$(find "$root/usr/share/ca-certificates" -name '*.crt' -exec cat {} + |
	awk -f "$here/pem-lines.awk" | sort -u)
count=0
while read -r line; do
	name=host-$(printf '%s' "$line" | sha256sum | cut -c 1-16).crt
	{
		echo '-----BEGIN CERTIFICATE-----'
		printf '%s\n' "$line" | fold -w 64
		echo '-----END CERTIFICATE-----'
	} >"$root/usr/local/share/ca-certificates/$name"
	count=$((count + 1))
done < <(comm -23 "$certificates" <(printf '%s\n' "$known"))
if [ "$count" -gt 0 ]; then
	chroot "$root" update-ca-certificates
fi

# Packages must not start their services while an image is built.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

# The sources in the form of Debian's own images, bound to Debian's keys.
awk '$1 == "deb" {
	printf "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n", $2, $3, $4
	printf "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
}' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/debian.sources"
rm "$root/etc/apt/sources.list"

# An image layer keeps what apt downloads. (mmdebstrap itself needs the
# downloads, so it cannot be told.)
echo 'APT::Keep-Downloaded-Packages "false";' >"$root/etc/apt/apt.conf.d/99image"

# mmdebstrap lends the new system the host's name and name servers; an image
# has neither. Logs differ from run to run.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
find "$root/var/log" -type f -delete
rm -f "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old
