#!/bin/bash
# Every test: units, then those on real engines, registries and a real API
# server. It needs root, and installs the Debian packages that it misses.
#
# SKIP leaves parts out, by their names with commas between: SKIP="unit tests,lint".
#
# The API server takes minutes to compile on the first run, so that goes on in
# the background while the others run.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/setup.sh

[ "$(id -u)" -eq 0 ] || die "these tests start engines and need root: sudo make test (make unit needs none)"
need go golang-go
need gcc gcc
need git git
need curl curl
need python3 python3
[ -e /usr/lib/python3/dist-packages/bottle.py ] || apt_install "bottle" python3-bottle
need node nodejs
need ruby ruby
ruby --disable-gems -e 'require "rubygems"; require "rack"' 2>/dev/null || apt_install "rack" ruby-rack
need php php-cli
need javac default-jdk-headless
# A docker command may be there without an engine to start.
docker version >/dev/null 2>&1 || need dockerd docker.io
need docker docker.io
need runc runc
need ctr containerd
need iptables iptables
need ip iproute2
[ -x /usr/lib/cni/bridge ] || apt_install "CNI's plugins" containernetworking-plugins
need docker-registry docker-registry
need htpasswd apache2-utils
need jq jq
need skopeo skopeo
need busybox busybox-static
# It is all that the images of the tests hold, so it must need nothing else.
! ldd "$(command -v busybox)" >/dev/null 2>&1 || apt_install "a static busybox" busybox-static
need mmdebstrap mmdebstrap

logs=$(mktemp -d)
failed=()

# step NAME COMMAND...: runs one part; the others run all the same.
step() {
	local name=$1 start=$SECONDS
	shift
	case ,${SKIP:-}, in *",$name,"*) echo "=== $name: left out"; return ;; esac
	echo "=== $name"
	if "$@"; then
		echo "=== $name: ok, $((SECONDS - start)) s"
	else
		echo "=== $name: FAILED, $((SECONDS - start)) s"
		failed+=("$name")
	fi
}

finish() {
	# What is still going on in the background has no use any more.
	kill "${kube_build:-}" "${bases:-}" "${runtimes_build:-}" 2>/dev/null || true
	stop_docker
	rm -rf "$logs"
}
trap finish EXIT

test/kube/build.sh >"$logs/kubebox" 2>"$logs/kube-build" &
kube_build=$!
hack/base-images.sh --registry local/mirror >"$logs/bases" 2>&1 &
bases=$!

api_server() {
	if ! wait "$kube_build"; then
		cat "$logs/kube-build"
		return 1
	fi
	RTBUILD_KUBEBOX=$(cat "$logs/kubebox") RTBUILD_BIN=$PWD/bin/rtbuild RTBUILD_ROOT=$PWD \
		bash -c 'cd test/kube && CGO_ENABLED=0 go test -count=1 .'
}

# The images are those that the runtimes' part has released.
node() {
	[ -s "$copy/configmap.yaml" ] || { echo "the runtimes are not released"; return 1; }
	RTBUILD_KUBEBOX=$(cat "$logs/kubebox") RTBUILD_BIN=$PWD/bin/rtbuild RTBUILD_ROOT=$copy CGO_ENABLED=0 \
		test/kube/node.sh go -C test/kube test -count=1 -timeout 15m ./node
}

base_images() {
	wait "$bases" || { cat "$logs/bases"; return 1; }
}

# Every runtime of the tree is released, by a copy so that nothing is pinned
# here. The engine builds them in the background first, while other tests run:
# most of that time it waits for packages.
copy=$logs/tree
of_the_copy() {
	RTBUILD_BUILDER=docker:// RTBUILD_MIRROR=docker.io=local/mirror RTBUILD_LOCK_FILE=.rtbuild/rtbuild.lock bin/rtbuild -C "$copy" "$@"
}

build_runtimes() {
	mkdir "$copy"
	git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - --ignore-failed-read 2>/dev/null | tar --extract --directory "$copy"
	hack/base-images.sh --registry local/mirror --root "$copy/.rtbuild/registry"
	of_the_copy build
}

# pushes NAME FILE LINE BYTES: so many bytes are pushed at most after a line more
# in a file.
pushes() {
	local pushed
	touch "$logs/before"
	echo "$3" >>"$copy/$2"
	of_the_copy build --push --content-only --quiet --registry local "$1" >"$logs/pushes" || return 1
	pushed=$(find "$copy/.rtbuild/registry" -name data -newer "$logs/before" -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
	echo "a line more in $2: $pushed bytes pushed"
	[ "$pushed" -gt 0 ] && [ "$pushed" -le "$4" ]
}

# The contract suite is the gate. A second run has nothing left to do, and needs
# no engine. Then the suite once more for each language, where net/http alone
# serves clients.
runtimes() {
	wait "$runtimes_build" || { tail -n 100 "$logs/runtimes"; return 1; }
	of_the_copy all --push --verify --quiet --registry local >"$copy/configmap.yaml" &&
		DOCKER_HOST=unix:///nowhere of_the_copy all --push --verify --quiet --registry local | cmp "$copy/configmap.yaml" - &&
		of_the_copy verify --registry local --env FUNC_LOOPS=0 python:3.14 nodejs:24 ruby:3.3 php:8.4 java:25 go:1.27 &&
		go test -count=1 -tags e2e -timeout 30m ./test/runtime ./pkg/contract &&
		pushes python:3.13 stable/python/worker.py '# more' 200000 &&
		pushes nodejs:20 stable/nodejs/worker.js '// more' 200000 &&
		pushes ruby:3.3 stable/ruby/worker.rb '# more' 200000 &&
		pushes php:8.4 stable/php/worker.php '// more' 200000 &&
		pushes go:1.26 stable/go/pkg/worker/worker.go 'var _ = 1' 200000 &&
		pushes java:25 stable/java/Worker.java 'class More { }' 200000 &&
		pushes binary incubator/binary/worker/worker.c 'const int more = 1;' 200000
}

# Every runtime's examples on Docker, by the Makefiles: deployed and called, a
# second time updated, and ended, also where one is missing.
examples() {
	[ -s "$copy/configmap.yaml" ] || { echo "the runtimes are not released"; return 1; }
	local ns=examples-$$ left
	local make=(make --no-print-directory -j4 -C "$copy" BUILD=no NAMESPACE="$ns")
	"${make[@]}" deploy test >"$logs/examples" 2>&1 && "${make[@]}" deploy test >"$logs/examples" 2>&1 ||
		{ cat "$logs/examples"; "${make[@]}" undeploy; return 1; }
	bin/rtbuild function delete get-python --namespace "$ns" && "${make[@]}" undeploy || return 1
	left=$(docker ps -aq --filter label=dev.rtbuild.namespace="$ns"; docker volume ls -q --filter label=dev.rtbuild.namespace="$ns"; docker network ls -q --filter label=dev.rtbuild.namespace="$ns")
	[ -z "$left" ] || { echo "left are $left"; return 1; }
}

step "build" make -s build
docker_engine "$logs/dockerd" || die "no Docker engine, and dockerd does not start"
build_runtimes >"$logs/runtimes" 2>&1 &
runtimes_build=$!
step "unit tests" env RTBUILD_WORKERS=all make -s unit RACE=-race
step "soak of the proxy" make -s soak SOAKTIME=60s
step "fuzz tests" hack/fuzz.sh "${FUZZTIME:-5s}"
step "pinning, on full and failing disks" go test -count=1 -tags e2e ./pkg/pin
step "engines" go test -count=1 -tags e2e ./internal/edge/...
step "base images" base_images
step "pipeline" env RTBUILD_E2E_RELEASES=200 go test -count=1 -tags e2e -timeout 40m ./test/e2e
# The same cases each time; make fuzz has others.
step "random images, taken apart" env RTBUILD_E2E_SEED=51413 RTBUILD_E2E_CASES=200 go test -count=1 -tags e2e -timeout 40m ./test/differential
step "runtimes" runtimes
step "examples" examples
step "API server" api_server
step "node" node
step "lint" make -s lint

if [ ${#failed[@]} -gt 0 ]; then
	printf 'failed: %s\n' "${failed[@]}"
	exit 1
fi
echo "all parts passed"
