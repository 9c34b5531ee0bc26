#!/bin/bash
# Builds in dist/ what a release of the last commit would have: archives, packages,
# SBOMs and checksums, and with Docker the container image for this machine. Then
# unpacks and installs each, and runs what this machine can run. GORELEASER is the
# command to build with.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh
need rpm rpm
need jq jq
need docker docker.io
need curl curl
read -ra goreleaser <<<"${GORELEASER:?make release-snapshot sets it}"
platforms="linux_amd64 linux_arm64 darwin_amd64 darwin_arm64"

# goreleaser wants a clone with a remote and a tag.
clone=$(mktemp -d)
images=rtbuild-snapshot-$$
finish() {
	docker rmi --force $images/rtbuild $images/debian >/dev/null 2>&1 || true
	stop_docker
	rm -rf "$clone"
}
trap finish EXIT
docker_engine "$clone.dockerd" || die "no Docker engine, and dockerd does not start"
tag=v0.0.0-snapshot
git clone -q . "$clone"
commit=$(git -C "$clone" rev-parse HEAD)
git -C "$clone" tag -f $tag >/dev/null
(cd "$clone" && "${goreleaser[@]}" release --snapshot --clean --skip=docker) >&2
rm -rf dist
mv "$clone/dist" dist

# holds FILE NAME LIST...: the list has a line that ends in this name.
holds() { grep -q "$2\$" <<<"$3" || die "dist/$1 lacks $2:
$3"; }

# runs PROGRAM: it says which commit it is of, with the whole program beside it, which
# does what it does not, and neither links to a library.
built="rtbuild $tag (${commit:0:12} of $(TZ=UTC git show -s --date=format-local:%Y-%m-%d --format=%cd "$commit"))"
runs() {
	local said file
	said=$("$1" version)
	[[ $said == "$built "* ]] || die "$1 says \"$said\", want \"$built\""
	said=$("$1" version --output json | jq -r .revision) # by the whole program
	[ "$said" = "$commit" ] || die "$1-full is of the commit \"$said\""
	for file in "$1" "$1-full"; do
		! ldd "$file" >/dev/null 2>&1 || die "$file links to libraries"
	done
}

(cd dist && sha256sum --check --strict --quiet checksums.txt)
arch=$(go env GOARCH)
for platform in $platforms; do
	list=$(tar --list --file "dist/rtbuild_$platform.tar.gz")
	for name in rtbuild rtbuild-full LICENSE THIRD_PARTY_NOTICES CHANGELOG.md man/rtbuild.1 completion/rtbuild.bash; do
		holds "rtbuild_$platform.tar.gz" "$name" "$list"
	done
	jq -e '[.components[].purl] | any(startswith("pkg:golang/github.com/moby/buildkit@"))' "dist/rtbuild_$platform.cdx.json" >/dev/null ||
		die "dist/rtbuild_$platform.cdx.json does not list BuildKit"
	grep -q " rtbuild_$platform.cdx.json\$" dist/checksums.txt || die "dist/checksums.txt lacks the SBOM of $platform"
done
for package in amd64 arm64; do
	for list in "deb $(dpkg-deb --contents dist/rtbuild_$package.deb)" "rpm $(rpm --query --list --package dist/rtbuild_$package.rpm)"; do
		for name in /usr/bin/rtbuild /usr/bin/rtbuild-full /usr/share/man/man1/rtbuild.1 /usr/share/bash-completion/completions/rtbuild /usr/share/doc/rtbuild/copyright; do
			holds "rtbuild_$package.${list%% *}" "$name" "$list"
		done
	done
done
mkdir "$clone/archive" "$clone/rpm"
tar --extract --file "dist/rtbuild_linux_$arch.tar.gz" --directory "$clone/archive"
runs "$clone/archive/rtbuild"
rpm --root "$clone/rpm" --install --nodeps --noscripts --ignorearch "dist/rtbuild_$arch.rpm"
runs "$clone/rpm/usr/bin/rtbuild"

# The container image, and a Debian with nothing in it for the package. rtbuild builds
# them: Docker's own builder would ask Docker Hub, which may not be there.
tree=$clone/images
mkdir -p "$tree/rtbuild/linux/$arch" "$tree/debian"
cp hack/image/Dockerfile "$tree/rtbuild"
cp "$clone/archive/rtbuild" "$clone/archive/rtbuild-full" "$tree/rtbuild/linux/$arch"
echo "FROM debian:trixie-slim" >"$tree/debian/Dockerfile"
echo "[]" >"$tree/runtimes.jsonnet"
cat >"$tree/rtbuild.yaml" <<EOF
images:
  - {name: rtbuild, folder: rtbuild, repository: $images/rtbuild}
  - {name: debian, folder: debian, repository: $images/debian}
EOF
if ! hub_answers; then
	hack/base-images.sh --registry local/mirror --root "$tree/.rtbuild/registry" trixie >&2
	echo "mirrors: {docker.io: local/mirror}" >>"$tree/rtbuild.yaml"
fi
"$clone/archive/rtbuild" -C "$tree" build --builder docker:// >&2

# As a job has it: a checkout of another user, in which the image works for itself.
git clone -q "$clone" "$clone/checkout"
[ "$(id -u)" -ne 0 ] || chown -R 1000:1000 "$clone/checkout"
contained() { docker run --rm --volume "$clone/checkout:/work" $images/rtbuild "$@"; }
[[ $(contained version) == "$built "* ]] || die "the image says it is \"$(contained version)\", want \"$built\""
contained check >&2 || die "in the image, check fails"
[[ $(contained new perl --from python --dry-run) == *incubator/perl/worker.py* ]] || die "in the image, git does not list a checkout"
contained configmap --quiet | cmp - <("$clone/archive/rtbuild" -C "$clone/checkout" configmap --quiet) || die "in the image, configmap prints something else"

# Debian's slim images leave pages out of packages.
docker run --rm --interactive --volume "$PWD/dist:/dist:ro" --env arch="$arch" $images/debian bash -euo pipefail -s "$built" >&2 <<'EOF'
dpkg --path-include='/usr/share/*' --install "/dist/rtbuild_$arch.deb"
[[ $(rtbuild version) == "$1 "* ]]
rtbuild version --output json
zcat --force /usr/share/man/man1/rtbuild-all.1* | grep '^\.TH'
source /usr/share/bash-completion/completions/rtbuild
complete -p rtbuild
rtbuild __complete conf | grep '^configmap'
[ -z "$(dpkg --verify rtbuild)" ]
dpkg --purge rtbuild
[ ! -e /usr/bin/rtbuild ]
EOF
say "dist/ has $built for $platforms; the image and the packages work"
