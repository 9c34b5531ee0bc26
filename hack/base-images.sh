#!/bin/bash
# Makes the base images debian:SUITE-slim from Debian packages, for machines
# that reach Debian's mirror but no image registry, and puts them into a
# registry that serves as Docker Hub's mirror:
#
#   hack/base-images.sh --registry local/mirror
#   hack/base-images.sh --registry 127.0.0.1:5000/mirror trixie sid
#
# The certificates that this machine trusts beyond Debian's own list are
# trusted inside too, so that builds work behind a TLS-inspecting proxy. Such an
# image says so in a label, and rtbuild pushes what is built on it to registries
# of this machine alone.
set -euo pipefail
export LC_ALL=C

usage() {
	cat <<USAGE
Usage: hack/base-images.sh --registry HOST[:PORT][/PREFIX]|local[/PREFIX] [options] [SUITE...]

Puts PREFIX/library/debian:SUITE-slim there for each SUITE, a code name of
Debian's (default: those that the images of this tree are built from).

  --registry PLACE   where to put the images; "local" is the embedded registry
  --root DIR         folder of the embedded registry (default .rtbuild/registry)
  --refresh          make the root file systems anew, with today's packages
  --no-install       do not install missing Debian packages, say which are missing

Environment:
  SSL_CERT_FILE      this machine's trusted certificates
                     (default /etc/ssl/certs/ca-certificates.crt)
  DEBIAN_KEYRING     keys to authenticate Debian's archive with
                     (default /usr/share/keyrings/debian-archive-keyring.gpg)
USAGE
}

say() { echo "base-images: $*" >&2; }
die() { say "$*"; exit 1; }
bad_usage() { say "$*"; usage >&2; exit 2; }

repo=$(cd "$(dirname "$0")/.." && pwd)
recipe=$repo/hack/baseimage
cache=$repo/.cache/base
keyring=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
registry='' root=.rtbuild/registry refresh=no install=yes suites=()

parse_arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--registry | --root)
			[ $# -ge 2 ] || bad_usage "$1 needs a value"
			if [ "$1" = --registry ]; then registry=$2; else root=$2; fi
			shift
			;;
		--refresh) refresh=yes ;;
		--no-install) install=no ;;
		-h | --help) usage; exit 0 ;;
		-*) bad_usage "unknown option $1" ;;
		*[!a-z]*) bad_usage "$1 is not a suite: want a code name of Debian's, such as trixie" ;;
		*) suites+=("$1") ;;
		esac
		shift
	done
	[ -n "$registry" ] || bad_usage "--registry is missing"
}

# find_suites sets suites to those of the tree's base images, unless the
# arguments name some.
find_suites() {
	local plan
	[ ${#suites[@]} -eq 0 ] || return 0
	plan=$(cd "$repo" && go run ./cmd/rtbuild plan --output json) || die "what the tree's images are built from cannot be read; name the suites: hack/base-images.sh --registry $registry trixie"
	mapfile -t suites < <(grep -oE '"debian:[a-z]+-slim"' <<<"$plan" | sed -E 's/.*:(.*)-slim"/\1/' | sort -u)
	[ ${#suites[@]} -gt 0 ] || die "no image of the tree is built from a debian:SUITE-slim"
}

# need PACKAGE TEST...: installs PACKAGE if the command TEST fails.
need() {
	local package=$1 how="apt-get install -y --no-install-recommends $1"
	shift
	"$@" >/dev/null && return
	[ "$install" = yes ] || die "the Debian package $package is missing; install it with: $how"
	[ "$(id -u)" -eq 0 ] || die "the Debian package $package is missing and only root can install it; run: sudo $how"
	say "the Debian package $package is missing; installing it: $how"
	apt-get update -qq >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2
	"$@" >/dev/null || die "the Debian package $package is installed, and yet this fails: $*"
}

# find_mirrors sets mirror and security to the addresses that this machine
# gets Debian from, or to Debian's own.
find_mirrors() {
	local targets
	# apt itself reads its sources, in whichever format they are.
	targets=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages')
	mirror=$(awk '$3 == "main" && $1 ~ /^https?:.*\/debian\/?$/ &&
		$2 ~ /^[a-z]+$/ { print $1; exit }' <<<"$targets")
	security=$(awk '$3 == "main" && $1 ~ /^https?:.*debian-security\/?$/ { print $1; exit }' <<<"$targets")
	mirror=${mirror:-http://deb.debian.org/debian} mirror=${mirror%/}
	security=${security:-http://deb.debian.org/debian-security} security=${security%/}
	# mmdebstrap does not read this machine's apt configuration; its proxy
	# must not end in the image's, so it goes by the environment.
	local proxy=''
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	if [ -n "$proxy" ] && [ "$proxy" != DIRECT ] && [ -z "${http_proxy:-}" ]; then
		export http_proxy=$proxy
	fi
}

# isolated_apt KEYRING SUITE COMMAND...: apt-get with the one source and the
# one keyring, beside this machine's own sources, keys and lists.
isolated_apt() {
	local keys=$1 suite=$2
	shift 2
	local dir=$work/apt-$suite
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/etc/preferences.d"
	: >"$dir/status"
	echo "deb [signed-by=$keys] $mirror $suite main" >"$dir/sources.list"
	apt-get \
		-o Dir::Etc="$dir/etc" -o Dir::Etc::SourceList="$dir/sources.list" \
		-o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" -o Dir::State::Status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o APT::Update::Error-Mode=any "$@"
}

# authenticates KEYRING SUITE tells whether KEYRING holds a key that signed
# SUITE; any other trouble with the mirror ends the script.
authenticates() {
	local output
	output=$(isolated_apt "$1" "$2" -o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false update 2>&1) && return
	grep -qE 'NO_PUBKEY|Missing key|is not signed|not signed by' <<<"$output" ||
		die "reading $2 from $mirror failed:"$'\n'"$output"
	return 1
}

# find_keyring SUITE sets keyring to one that authenticates SUITE. One that is
# older than the suite may lack its keys; then a newer one is taken from a
# suite that the old one does authenticate. Authentication is never switched
# off.
find_keyring() {
	local suite=$1 step newer
	need debian-archive-keyring test -r "$keyring"
	authenticates "$keyring" "$suite" && return
	for step in sid trixie bookworm bullseye; do
		authenticates "$keyring" "$step" || continue
		say "$keyring lacks the keys of $suite; getting the one from $step"
		newer=$work/keyring-$step
		mkdir -p "$newer"
		(
			cd "$newer"
			isolated_apt "$keyring" "$step" -qq update
			isolated_apt "$keyring" "$step" -qq download debian-archive-keyring
			dpkg-deb --extract debian-archive-keyring_*.deb .
		) >&2
		newer=$newer/usr/share/keyrings/debian-archive-keyring.gpg
		if authenticates "$newer" "$suite"; then
			keyring=$newer
			return
		fi
	done
	die "$keyring does not lead to the keys of Debian $suite; install a newer debian-archive-keyring"
}

# extra_certificates prints the certificates that this machine trusts and that
# do not come from Debian's ca-certificates: those that it has are left to the
# suite's own package, which may have withdrawn some of them.
extra_certificates() {
	local bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
	if [ ! -r "$bundle" ]; then
		say "there is no $bundle: the images trust Debian's certificates only"
		return
	fi
	comm -23 <(awk -f "$recipe/pem-lines.awk" "$bundle" | sort -u) \
		<(find /usr/share/ca-certificates/mozilla -name '*.crt' -exec cat {} + 2>/dev/null |
			awk -f "$recipe/pem-lines.awk" | sort -u)
}

# tarball SUITE is the path of SUITE's root file system; it names all that the
# content depends on but the state of Debian's archive.
tarball() {
	local key
	key=$(
		{
			echo "$1 $arch $mirror $security"
			declare -f make_rootfs sources_of
			cat "$work/certificates" "$recipe/customize.sh"
		} | sha256sum | cut -c 1-16
	)
	echo "$cache/debian-$1-slim-$arch-$key.tar.gz"
}

# sources_of SUITE prints what apt gets the suite's packages from. Nothing is
# fixed in the development suites beside uploading a new version.
sources_of() {
	echo "deb $mirror $1 main"
	case $1 in
	sid | unstable | experimental) return ;;
	esac
	echo "deb $mirror $1-updates main"
	echo "deb $security $1-security main"
}

# is_expired INRELEASE tells whether the date until which an archive's index is
# valid has passed.
is_expired() {
	local until
	until=$(sed -n 's/^Valid-Until: //p' "$1")
	[ -n "$until" ] && [ "$(date -d "$until" +%s)" -lt "$(date +%s)" ]
}

# make_rootfs SUITE KEYRING TARBALL becomes mmdebstrap, so that its process
# is the one to wait for and to stop.
make_rootfs() {
	local suite=$1 keys=$2 target=$3 hooks=() options=() sources release valid=''
	# Without it bookworm's merged /usr is made by a package that draws in all
	# of Perl.
	local merged_usr=/usr/share/mmdebstrap/hooks/maybe-merged-usr
	[ ! -d "$merged_usr" ] || hooks=(--hook-dir="$merged_usr")
	# No file is younger than the suite's release: the same packages always
	# make the same archive, and so the same digest.
	release=$(echo "$work/apt-$suite/lists/"*InRelease)
	SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^Date: //p' "$release")" +%s)
	export SOURCE_DATE_EPOCH
	# A mirror can be behind. Where this machine's apt is told to take such a
	# suite all the same, the image's is, too.
	eval "$(apt-config shell valid Acquire::Check-Valid-Until/b)"
	if [ "$valid" = false ] && is_expired "$release"; then
		options+=(--aptopt='Acquire::Check-Valid-Until "false"')
	fi
	mapfile -t sources < <(sources_of "$suite")
	exec mmdebstrap --quiet --variant=minbase --include=ca-certificates \
		--architectures="$arch" --keyring="$keys" \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"${hooks[@]}" "${options[@]}" --customize-hook="'$recipe/customize.sh' '$work/certificates' \"\$1\"" \
		"$suite" "$target" "${sources[@]}"
}

# make_missing makes the root file systems that are not cached, side by side.
make_missing() {
	local suite target pids=() names=() failed=no
	for suite in "${suites[@]}"; do
		if [ -s "$(tarball "$suite")" ] && [ "$refresh" = no ]; then
			continue
		fi
		need mmdebstrap command -v mmdebstrap
		find_keyring "$suite"
		say "making $suite from $mirror"
		make_rootfs "$suite" "$keyring" "$work/$suite.tar.gz" >"$work/$suite.log" 2>&1 &
		pids+=($!) names+=("$suite")
	done
	local i
	for i in "${!pids[@]}"; do
		suite=${names[$i]}
		if wait "${pids[$i]}"; then
			say "made $suite"
			target=$(tarball "$suite")
			mv "$work/$suite.tar.gz" "$target"
			find "$cache" -maxdepth 1 -name "debian-$suite-slim-$arch-*.tar.gz" ! -path "$target" -delete
		else
			say "making $suite failed; the end of mmdebstrap's output:"
			tail -n 20 "$work/$suite.log" >&2
			failed=yes
		fi
	done
	[ "$failed" = no ] || exit 1
}

# clean_up ends the children of an interrupted run first: mmdebstrap unmounts
# and removes what it made.
clean_up() {
	set +e
	# shellcheck disable=SC2046 # a word for each process
	kill $(jobs -p) 2>/dev/null
	wait
	rm -rf "$work"
}

main() {
	parse_arguments "$@"
	command -v go >/dev/null || die "go is missing; install Go (https://go.dev/doc/install)"
	command -v apt-get >/dev/null || die "apt-get is missing: making Debian images takes a Debian-like system"
	find_suites
	mkdir -p "$cache"
	# One run at a time: a second one finds what the first made.
	exec 9>"$cache/lock"
	if ! flock --nonblock 9; then
		say "waiting for another run to finish"
		flock 9
	fi
	# On the cache's file system, so that the last step is a rename.
	work=$(mktemp -d "$cache/.work-XXXXXX")
	# Without root, mmdebstrap's hook reads it as a user of its own.
	chmod 755 "$work"
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	arch=$(dpkg --print-architecture)
	find_mirrors
	extra_certificates >"$work/certificates"
	make_missing

	local images=() suite
	for suite in "${suites[@]}"; do
		images+=("debian:$suite-slim=$(tarball "$suite")")
	done
	cd "$repo"
	go run ./hack/baseimage --registry "$registry" --root "$root" "${images[@]}"
}

main "$@"
exit
