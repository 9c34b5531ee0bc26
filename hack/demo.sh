#!/bin/bash
# Releases the whole tree into the embedded registry and prints the ConfigMap:
# rtbuild all --push --registry local. It takes Docker's engine where one
# answers, else BuildKit in rtbuild itself, which needs runc.
#
# Base images come from Docker Hub where it can be reached. Where it cannot,
# they are made from Debian packages and served as its mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh

if ! docker version >/dev/null 2>&1; then
	say "no Docker engine answers; building with the embedded BuildKit"
	need runc runc
	[ "$(id -u)" -eq 0 ] || die "the embedded BuildKit needs root: sudo make demo, or start a Docker engine"
fi

need curl curl
hub=${DEMO_HUB:-https://registry-1.docker.io/v2/}
# Any answer will do: it says 401 to whom it does not know.
if ! curl --silent --output /dev/null --max-time 10 "$hub"; then
	say "Docker Hub cannot be reached; making the base images from Debian packages"
	hack/base-images.sh --registry local/mirror >&2
	# These bases are of this machine: their digests are no business of the
	# repository's lock file.
	export RTBUILD_MIRROR=docker.io=local/mirror RTBUILD_LOCK_FILE=.rtbuild/rtbuild.lock
	mkdir -p .rtbuild
fi

bin/rtbuild all --push --registry local
