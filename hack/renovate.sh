#!/bin/bash
# Has Renovate itself read renovate.json: whether it is valid, and whether it finds
# the entries of a lock file, the base images of Dockerfiles and the images in
# manifests. Needs npm and jq; the first run installs Renovate, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh

# Renovate wants a newer Node.js than distributions have.
renovate=41.83.2 node=22.22.0
cache=$PWD/.cache/renovate
need npm npm
need jq jq
arch=$(node -p process.arch)
if [ ! -e "$cache/done-$renovate-$node" ]; then
	rm -rf "$cache"
	mkdir -p "$cache"
	say "installing Renovate $renovate in $cache"
	npm install --prefix "$cache" --ignore-scripts --no-audit --no-fund --loglevel error --force \
		"renovate@$renovate" "node-linux-$arch@$node" >&2
	touch "$cache/done-$renovate-$node"
fi
run() { "$cache/node_modules/node-linux-$arch/bin/node" "$cache/node_modules/renovate/dist/$1.js" "${@:2}"; }

run config-validator --strict renovate.json

# A copy of the tree with a lock file and a pinned manifest.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
digest=sha256:$(printf 'a%.0s' {1..64})
git ls-files -z stable incubator renovate.json | tar --create --null --files-from - | tar --extract --directory "$copy"
printf '%s\n' 'version: 1' 'images:' "  docker.io/library/debian:trixie-slim: $digest" "  ghcr.io/acme/base:1.2: $digest" >"$copy/rtbuild.lock"
sed -i "s|'kubeless/go:1.26'|'kubeless/go:1.26@$digest'|" "$copy/stable/go/go.jsonnet"
git -C "$copy" init -q
git -C "$copy" add -A
git -C "$copy" -c user.name=x -c user.email=x@example.org commit -q -m x
found=$(cd "$copy" && LOG_FORMAT=json LOG_LEVEL=debug run renovate --platform=local --dry-run=extract 2>/dev/null |
	jq -r 'select(.msg == "Extracted dependencies") | .packageFiles | to_entries[] | .key as $manager | .value[] | .packageFile as $file |
		.deps[] | "\($manager) \($file) \(.depName):\(.currentValue) \(.currentDigest)"')
for line in "regex rtbuild.lock docker.io/library/debian:trixie-slim $digest" \
	"regex rtbuild.lock ghcr.io/acme/base:1.2 $digest" \
	"regex stable/go/go.jsonnet kubeless/go:1.26 $digest" \
	"dockerfile stable/go/Dockerfile debian:trixie-slim null" \
	"dockerfile incubator/binary/Dockerfile.1.0 debian:trixie-slim null"; do
	grep -qxF "$line" <<<"$found" || die "Renovate does not find \"$line\":
$found"
done
say "Renovate finds what it should: $(wc -l <<<"$found") images and packages"
