#!/bin/bash
# Builds in dist/ what a release of the last commit would have, short of the container
# image: archives, packages, SBOMs and checksums. Then unpacks each, and runs what
# this machine can run. GORELEASER is the command to build with.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh
need rpm rpm
need jq jq
read -ra goreleaser <<<"${GORELEASER:?make release-snapshot sets it}"
platforms="linux_amd64 linux_arm64 darwin_amd64 darwin_arm64"

# goreleaser wants a clone with a remote and a tag.
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
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
mkdir "$clone/archive" "$clone/deb"
tar --extract --file "dist/rtbuild_linux_$arch.tar.gz" --directory "$clone/archive"
dpkg-deb --extract "dist/rtbuild_$arch.deb" "$clone/deb"
runs "$clone/archive/rtbuild"
runs "$clone/deb/usr/bin/rtbuild"
say "dist/ has $built for $platforms"
