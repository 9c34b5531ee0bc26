#!/bin/bash
# Releases the whole tree into the embedded registry and prints the ConfigMap:
# rtbuild all --push --registry local. It takes Docker's engine where one
# answers, else BuildKit in rtbuild itself, which needs runc.
#
# Base images come from Docker Hub where it can be reached. Where it cannot,
# they are made from Debian packages and served as its mirror.
#
# What it chose is written to .rtbuild/settings.yaml, so that rtbuild works in
# this folder afterwards as it did here. make clean removes it.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh

if ! docker version >/dev/null 2>&1; then
	say "no Docker engine answers; building with the embedded BuildKit"
	need runc runc
	[ "$(id -u)" -eq 0 ] || die "the embedded BuildKit needs root: sudo make demo, or start a Docker engine"
fi

settings=.rtbuild/settings.yaml
mkdir -p .rtbuild
[ -e .rtbuild/.gitignore ] || echo '*' >.rtbuild/.gitignore
if [ ! -e "$settings" ]; then
	printf '# Written by make demo: where this machine releases to. It wins over rtbuild.yaml.\nregistry: local\n' >"$settings"
fi

need curl curl
if ! hub_answers; then
	say "Docker Hub cannot be reached; making the base images from Debian packages"
	hack/base-images.sh --registry local/mirror >&2
	if ! grep -q '^mirrors:' "$settings"; then
		# These bases are of this machine: their digests are no business of the
		# repository's lock file.
		printf 'mirrors: {docker.io: local/mirror}\nlockFile: .rtbuild/rtbuild.lock\n' >>"$settings"
	fi
fi

bin/rtbuild all --push --registry local
say "done after $((SECONDS / 60)) min $((SECONDS % 60)) s; $(du -sh .rtbuild | cut -f 1) are in .rtbuild: $(du -sh .rtbuild/registry | cut -f 1) of images$([ ! -d .rtbuild/buildkit ] || echo ", $(du -sh .rtbuild/buildkit | cut -f 1) of build cache")"
say "rtbuild works in this folder as it did here, for example: bin/rtbuild explain python; its settings are in $settings"
