# What the demo and the tests share; sourced, not run.
#
#   need COMMAND PACKAGE   installs the Debian package if the command is missing
#   hub_answers            whether Docker Hub can be reached
#   docker_engine          makes sure that a Docker engine answers, or returns 1

say() { echo "$(basename "$0"): $*" >&2; }
die() { say "$*"; exit 1; }

need() {
	command -v "$1" >/dev/null && return
	apt_install "$1" "$2"
	command -v "$1" >/dev/null || die "$2 is installed, and yet there is no $1"
}

apt_install() {
	local install="apt-get install -y --no-install-recommends $2"
	command -v apt-get >/dev/null || die "$1 is missing; install it (Debian's package is $2)"
	[ "$(id -u)" -eq 0 ] || die "$1 is missing; install it with: sudo $install"
	say "$1 is missing; installing Debian's package: $install"
	[ -n "${apt_updated:-}" ] || apt-get update -qq >&2
	apt_updated=yes
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >&2
}

# stale_pid FILE NAME: removes a file with the number of a process that is not
# NAME.
stale_pid() {
	[ ! -f "$1" ] || [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ] || rm -f "$1"
}

# A Docker engine that this starts is stopped by stop_docker.
docker_engine() {
	docker version >/dev/null 2>&1 && return
	[ "$(id -u)" -eq 0 ] || return 1
	command -v dockerd >/dev/null || return 1
	say "no Docker engine answers; starting dockerd (log: $1)"
	# What a killed engine left: its number may be another process's by now.
	stale_pid /var/run/docker.pid dockerd
	stale_pid /var/run/docker/containerd/containerd.pid containerd
	dockerd >"$1" 2>&1 &
	dockerd_pid=$!
	for _ in $(seq 60); do
		docker version >/dev/null 2>&1 && return
		kill -0 "$dockerd_pid" 2>/dev/null || break
		sleep 1
	done
	tail -n 5 "$1" >&2
	return 1
}

# hub_answers: Docker Hub can be reached. Any answer will do: it says 401 to whom it
# does not know.
hub_answers() {
	curl --silent --output /dev/null --max-time 10 "${DEMO_HUB:-https://registry-1.docker.io/v2/}"
}

stop_docker() {
	[ -z "${dockerd_pid:-}" ] || kill "$dockerd_pid" 2>/dev/null || true
	[ -z "${dockerd_pid:-}" ] || wait "$dockerd_pid" 2>/dev/null || true
}
