# What the benchmarks compare with; sourced, not run. Everything lands in
# $cache and is made once.
#
#   get_buildx      sets DOCKER_CONFIG to one with Debian's docker-buildx
#   get_buildkitd   sets buildkitd to a binary of the version in go.mod

# get_buildx unpacks the package of a newer suite: it is one static binary.
get_buildx() {
	local config=$cache/docker deb dir keys=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
	if [ ! -x "$config/cli-plugins/docker-buildx" ]; then
		dir=$(mktemp -d)
		mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/etc/preferences.d" "$config/cli-plugins"
		: >"$dir/status"
		echo "deb [signed-by=$keys] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" >"$dir/sources.list"
		local apt=(apt-get -qq -o Dir::Etc="$dir/etc" -o Dir::Etc::SourceList="$dir/sources.list"
			-o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" -o Dir::State::Status="$dir/status"
			-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none
			-o APT::Update::Error-Mode=any)
		(cd "$dir" && "${apt[@]}" update && "${apt[@]}" download docker-buildx) >&2 ||
			die "no docker-buildx from Debian trixie; if $keys is too old for it, name a newer one in DEBIAN_KEYRING"
		deb=$(echo "$dir"/docker-buildx_*.deb)
		dpkg-deb --extract "$deb" "$dir/unpacked"
		cp "$(find "$dir/unpacked" -type f -name docker-buildx -perm -u+x)" "$config/cli-plugins/"
		rm -rf "$dir"
	fi
	export DOCKER_CONFIG=$config
	# Without what rtbuild does not do either.
	export BUILDX_NO_DEFAULT_ATTESTATIONS=1 BUILDX_GIT_INFO=false
	# With tracing on, all targets of a bake are one trace, and buildkitd writes
	# all of it into the history of each: five times as slow, and unfair.
	export OTEL_TRACES_SAMPLER=always_off
	docker buildx version >&2
}

get_buildkitd() {
	local version
	version=$(cd "$repo" && go list -m -f '{{.Version}}' github.com/moby/buildkit)
	buildkitd=$cache/buildkitd-$version
	[ ! -x "$buildkitd" ] || return 0
	say "compiling buildkitd $version"
	local dir
	dir=$(mktemp -d)
	(
		cd "$dir"
		printf 'module buildkitd\n\ngo 1.26\n' >go.mod
		export GOFLAGS=-mod=mod
		go get "github.com/moby/buildkit/cmd/buildkitd@$version"
		go build -o "$buildkitd" github.com/moby/buildkit/cmd/buildkitd
	) >"$dir/log" 2>&1 || { tail -n 5 "$dir/log" >&2; die "buildkitd does not compile"; }
	rm -rf "$dir"
}

# serve NAME LINES COMMAND...: starts a server in the background; its first
# LINES lines of output are in $work/NAME.
serve() {
	local name=$1 lines=$2
	shift 2
	"$@" >"$work/$name" 2>"$work/$name.log" &
	servers+=($!)
	for _ in $(seq 200); do
		[ "$(wc -l <"$work/$name")" -lt "$lines" ] || return 0
		kill -0 $! 2>/dev/null || break
		sleep 0.05
	done
	tail -n 5 "$work/$name.log" >&2
	die "$1 does not start"
}

# start_registry sets upstream, address and counter, and slow, slow_counter
# with 50 ms for each request.
start_registry() {
	local port
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	upstream=http://127.0.0.1:$port
	cat >"$work/registry.yml" <<-YAML
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $work/registry-data}}
		http: {addr: 127.0.0.1:$port}
	YAML
	serve registry 0 docker-registry serve "$work/registry.yml"
	for _ in $(seq 100); do
		! curl -sf "$upstream/v2/" >/dev/null || break
		sleep 0.1
	done
	go build -o "$work/count-server" "$repo/bench/count"
	serve count 2 "$work/count-server" -target "$upstream"
	serve slow 2 "$work/count-server" -target "$upstream" -latency 50ms
	address=$(sed -n 1p "$work/count") counter=$(sed -n 2p "$work/count")
	slow=$(sed -n 1p "$work/slow") slow_counter=$(sed -n 2p "$work/slow")
}

start_buildkitd() {
	socket=unix://$work/buildkitd.sock
	serve buildkitd 0 "$buildkitd" --root "$work/buildkit" --addr "$socket" --oci-worker-net host --containerd-worker=false
	for _ in $(seq 100); do
		[ ! -S "$work/buildkitd.sock" ] || break
		sleep 0.1
	done
	docker buildx create --name "bench-$$" --driver remote "$socket" >&2
	remote=bench-$$
}

# clean_up ends the servers and removes the images that the engine got.
clean_up() {
	set +e
	[ -z "${remote:-}" ] || docker buildx rm "$remote" >/dev/null 2>&1
	if [ -n "${address:-}" ]; then
		local format
		for format in '{{.Repository}}:{{.Tag}}' '{{.Repository}}@{{.Digest}}'; do
			docker images --digests --format "$format" | grep "^$address/" | grep -v '<none>' | sort -u | xargs -r -n 50 docker rmi >/dev/null 2>&1
		done
	fi
	[ ${#servers[@]} -eq 0 ] || { kill "${servers[@]}"; wait "${servers[@]}"; } 2>/dev/null
	stop_docker
	rm -rf "$work"
}
