#!/bin/sh
# Builds kubebox into the cache, unless it is there, and prints its path.
# With --cached it only looks, and fails if the binary is missing.
#
# The binary takes minutes to compile from nothing and changes only with its
# pinned modules, so it is built here and not within "go test". The cache is
# $RTBUILD_CACHE (an absolute path), by default .cache at the root of the
# repository; the folder's name in it is a hash of all that makes the binary.
set -eu

cd "$(dirname "$0")"
version=$(sed -n 's/^[[:space:]]*k8s\.io\/kubernetes //p' go.mod)
key=$({ go env GOVERSION GOOS GOARCH; cat build.sh go.mod go.sum cmd/kubebox/*.go; } | sha256sum | cut -c1-16)
cache=${RTBUILD_CACHE:-$(cd ../.. && pwd)/.cache}
case $cache in
/*) ;;
*) echo "RTBUILD_CACHE is $cache: make it an absolute path" >&2; exit 2 ;;
esac
folder=$cache/kube/$key
binary=$folder/kubebox

if [ ! -x "$binary" ]; then
	if [ "${1-}" = --cached ]; then
		echo "$binary is missing: build it with test/kube/build.sh" >&2
		exit 1
	fi
	echo "building kubebox (Kubernetes $version): about 6 minutes on 2 cores from nothing" >&2
	mkdir -p "$folder"
	partial=$(mktemp -d "$folder/partial.XXXXXX")
	trap 'rm -rf "$partial"' EXIT
	trap 'exit 1' HUP INT TERM
	# Without its version the server refuses some requests.
	CGO_ENABLED=0 GOWORK=off nice -n 10 go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
		-o "$partial/kubebox" ./cmd/kubebox >&2
	mv "$partial/kubebox" "$binary"
fi
echo "$binary"
