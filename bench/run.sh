#!/bin/bash
# Measures rtbuild against docker buildx bake on one engine and one registry:
# a Docker engine, and a buildkitd. docs/BENCHMARKS.md has results and says
# what each case is.
#
#   bench/run.sh                                  all cases
#   bench/run.sh --runs 3 noop resolve rebuild    some, more quickly
#
# All requests to the registry (Debian's docker-registry) go through a proxy
# that counts them. The results, hyperfine's and a summary, land in --out.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
. "$repo/hack/setup.sh"
. "$repo/bench/setup.sh"
. "$repo/bench/real.sh"
cache=$repo/.cache/bench
out=$cache/results runs=10 cold_runs=3 images=30
all=(plan noop rebuild one resolve honest cold real_one real_cold) cases=() engines=(docker buildkitd) servers=()

usage() {
	cat <<USAGE
Usage: bench/run.sh [options] [CASE...]

Cases: ${all[*]} (default: all)

  --runs N        runs of each command (default $runs); cold ones: --cold-runs (default $cold_runs)
  --images N      how many images (default $images)
  --engines LIST  docker,buildkitd (default both; the real_ cases: embedded and
                  buildkitd)
  --rtbuild FILE  the rtbuild to measure (default: compiled from this tree)
  --out DIR       where the results go (default .cache/bench/results)
USAGE
}

rtbuild=''
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=$2; shift ;;
	--cold-runs) cold_runs=$2; shift ;;
	--images) images=$2; shift ;;
	--engines) IFS=, read -ra engines <<<"$2"; shift ;;
	--rtbuild) rtbuild=$(realpath "$2"); shift ;;
	--out) out=$2; shift ;;
	-h | --help) usage; exit ;;
	-*) usage >&2; exit 2 ;;
	*) [[ " ${all[*]} " = *" $1 "* ]] || { usage >&2; exit 2; }; cases+=("$1") ;;
	esac
	shift
done
[ ${#cases[@]} -gt 0 ] || cases=("${all[@]}")

# measure NAME RUNS PREPARE COMMAND: one line of the summary.
measure() {
	local name=$1 times=$2 prepare=$3 command=$4 options=()
	[ -z "$prepare" ] || options=(--prepare "$prepare")
	# A first run that does not count: caches of the machine, not of the tools.
	[ "$times" -le "$cold_runs" ] || options+=(--warmup 1)
	hyperfine --runs "$times" "${options[@]}" --export-json "$out/$name.json" "$command" >"$work/hyperfine" 2>&1 || {
		cat "$work/hyperfine" >&2
		bash -c "$command" 2>&1 | tail -n 20 >&2
		die "$name: failed: $command"
	}
	python3 - "$out/$name.json" "$name" <<-'PY' | tee -a "$out/summary.tsv"
		import json, sys
		r = json.load(open(sys.argv[1]))["results"][0]
		print("%s\tmedian %.3f s\tmin %.3f\tmax %.3f\t%d runs" % (sys.argv[2], r["median"], r["min"], r["max"], len(r["times"])))
	PY
}

# requests NAME COUNTER PREPARE COMMAND: what one run asks the registry.
requests() {
	[ -z "$3" ] || bash -c "$3" >/dev/null 2>&1
	curl -sf "http://$2/count" >"$work/before"
	bash -c "$4" >/dev/null 2>&1
	curl -sf "http://$2/count" | paste "$work/before" - |
		awk -F'\t' -v name="$1" '{ n = $4 - $2; if (n > 0) line = line ", " $1 " " n } END { print name "\trequests: " (line == "" ? "none" : substr(line, 3)) }' |
		tee -a "$out/summary.tsv"
}

# both measures a command and counts its requests.
both() {
	measure "$@"
	requests "$1" "$counter" "$3" "$4"
}

commit() {
	git -C "$1" init -q
	git -C "$1" add -A
	git -C "$1" -c user.name=bench -c user.email=bench@localhost commit -qm bench
}

# released NAME TREE-OPTIONS...: a tree that both tools have released through
# the engine, with its pins committed; sets tree and dest. Cases that leave the
# registry as it is share one.
released() {
	tree=$work/$engine-$1 dest=$address/$engine-$1
	[ ! -d "$tree" ] || return 0
	shift
	"$work/tree" -dir "$tree" -images "$images" -registry "$dest/bake" "$@"
	commit "$tree"
	"$rtbuild" -C "$tree" all --push --quiet --builder "$builder" --registry "$dest" >/dev/null
	commit "$tree"
	(cd "$tree" && docker buildx bake "${bake[@]}" --push --progress quiet)
}

clone() { echo "rm -rf $work/clone && git clone -q $tree $work/clone"; }
release() { echo "$rtbuild -C $work/clone all --push --builder $builder --registry $dest $*"; }
# bake's own best: nothing to display.
baking() { echo "cd $work/clone && docker buildx bake ${bake[*]} --push --progress quiet $*"; }

# baking_times asks bake for what rtbuild asks of a buildkitd: layers whose
# files are no younger than the last commit.
baking_times() {
	echo "cd $work/clone && docker buildx bake ${bake[*]} --progress quiet --set '*.args.SOURCE_DATE_EPOCH='\$(git log -1 --format=%ct) --set '*.output=type=image,push=true,rewrite-timestamp=true'"
}

case_noop() {
	released unchanged
	both "noop-$engine-rtbuild" "$runs" "$(clone)" "$(release)"
	both "noop-$engine-bake" "$runs" "$(clone)" "$(baking)"
}

# Nothing changed, and all is built: what skipping saves.
case_rebuild() {
	released unchanged
	both "rebuild-$engine-rtbuild" "$runs" "$(clone)" "$(release --rebuild)"
	both "rebuild-$engine-bake" "$runs" "$(clone)" "$(baking)"
	[ "$engine" != docker ] || return 0
	both "rebuild-$engine-rtbuild-keep" "$runs" "$(clone)" "$(release --rebuild --rewrite-timestamp=false)"
	both "rebuild-$engine-bake-times" "$runs" "$(clone)" "$(baking_times)"
}

case_one() {
	released one
	local change
	change="$(clone) && date +%s%N >>$work/clone/stable/langaa/src/1.0/runtime.sh"
	both "one-$engine-rtbuild" "$runs" "$change" "$(release --report "$work/one.json")"
	python3 - "$work/one.json" <<-'PY' | tee -a "$out/summary.tsv"
		import collections, json, sys
		print("one: targets:", dict(collections.Counter(t["status"] for t in json.load(open(sys.argv[1]))["targets"])))
	PY
	both "one-$engine-bake" "$runs" "$change" "$(baking)"
}

# Nothing is cached: each run gets content and repositories of its own.
case_cold() {
	local fresh
	fresh="rm -rf $work/clone && date +%s%N >$work/salt && $work/tree -dir $work/clone -images $images -salt \$(cat $work/salt) -registry $address/cold-\$(cat $work/salt)/bake && cd $work/clone && git init -q && git add -A && git -c user.name=bench -c user.email=bench@localhost commit -qm bench"
	dest="$address/cold-\$(cat $work/salt)"
	measure "cold-$engine-rtbuild" "$cold_runs" "$fresh" "$(release)"
	measure "cold-$engine-bake" "$cold_runs" "$fresh" "$(baking)"
	if [ "$engine" != docker ]; then
		measure "cold-$engine-rtbuild-keep" "$cold_runs" "$fresh" "$(release --rewrite-timestamp=false)"
		measure "cold-$engine-bake-times" "$cold_runs" "$fresh" "$(baking_times)"
	fi
	requests "cold-$engine-rtbuild" "$counter" "$fresh" "$(release)"
	requests "cold-$engine-bake" "$counter" "$fresh" "$(baking)"
}

# Base images that are looked up: bake always does, rtbuild on request.
case_honest() {
	local base=$address/$engine-base/busybox:1 dir=$work/base
	mkdir -p "$dir/bin"
	cp /bin/busybox "$dir/bin/"
	printf 'FROM scratch\nCOPY bin /bin\n' >"$dir/Dockerfile"
	docker build -q -t "$base" "$dir" >/dev/null
	docker push -q "$base" >/dev/null
	released based -base "$base"
	both "base-$engine-rtbuild" "$runs" "$(clone)" "$(release --locked)"
	both "base-$engine-rtbuild-outdated" "$runs" "$(clone)" "$rtbuild -C $work/clone outdated"
	both "base-$engine-rtbuild-update" "$runs" "$(clone)" "$rtbuild -C $work/clone lock --update && $(release)"
	both "base-$engine-rtbuild-update-rebuild" "$runs" "$(clone)" "$rtbuild -C $work/clone lock --update && $(release --rebuild)"
	both "base-$engine-bake" "$runs" "$(clone)" "$(baking)"
	both "base-$engine-bake-pull" "$runs" "$(clone)" "$(baking --pull)"
}

# 50 ms for each request: as many references as images.
case_resolve() {
	released unchanged
	local accept='Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' urls=$work/urls
	"$rtbuild" -C "$tree" plan --output json |
		python3 -c 'import json, sys; [print(sys.argv[1] + t["repository"] + "/manifests/" + tag) for t in json.load(sys.stdin)["targets"] for tag in t["tags"]]' \
			"http://$slow/v2/${dest#*/}/" >"$urls"
	[ "$(wc -l <"$urls")" -eq "$images" ] || die "$(wc -l <"$urls") references, want $images"
	measure start "$runs" "" "$rtbuild version"
	measure resolve-rtbuild-0ms "$runs" "" "$rtbuild -C $tree pin --check --registry $dest"
	measure resolve-rtbuild "$runs" "" "$rtbuild -C $tree pin --check --registry $slow/${dest#*/}"
	requests resolve-rtbuild "$slow_counter" "" "$rtbuild -C $tree pin --check --registry $slow/${dest#*/}"
	measure resolve-curl-each "$runs" "" "while read -r url; do curl -sfI -H '$accept' \$url; done <$urls"
	measure resolve-curl-kept-alive "$runs" "" "xargs curl -sfI -H '$accept' <$urls"
	# In one process: one after the other, and as a run does it.
	go test -run '^$' -bench Resolve30 -benchtime "${runs}x" ./internal/edge/registry | grep ^Benchmark | tee -a "$out/summary.tsv"
}

case_plan() {
	local n memory
	for n in 100 300 1000; do
		"$work/tree" -dir "$work/plan-$n" -images "$n" -busybox ''
		measure "plan-$n" "$runs" "" "$rtbuild -C $work/plan-$n plan"
		memory=$(for _ in 1 2 3 4 5; do
			/usr/bin/time -f %M -o "$work/rss" "$rtbuild" -C "$work/plan-$n" plan >/dev/null
			cat "$work/rss"
		done | sort -n | sed -n 3p)
		printf 'plan-%s\tpeak RSS %s KiB (median of 5)\n' "$n" "$memory" | tee -a "$out/summary.tsv"
	done
}

use_engine() {
	engine=$1
	case $engine in
	docker) builder=docker:// bake=(--builder default) ;;
	buildkitd)
		get_buildkitd
		[ -n "${remote:-}" ] || start_buildkitd
		builder=$socket bake=(--builder "$remote")
		;;
	embedded) builder=embedded ;;
	*) die "unknown engine $engine" ;;
	esac
}

main() {
	[ "$(id -u)" -eq 0 ] || die "this starts engines and needs root: sudo make bench"
	need hyperfine hyperfine
	docker version >/dev/null 2>&1 || need dockerd docker.io
	need docker docker.io
	need runc runc
	need docker-registry docker-registry
	need busybox busybox-static
	need curl curl
	need git git
	need python3 python3
	need /usr/bin/time time
	work=$(mktemp -d)
	trap clean_up EXIT
	mkdir -p "$cache" "$out"
	docker_engine "$work/dockerd.log" || die "no Docker engine answers"
	get_buildx
	cd "$repo"
	go build -o "$work/tree" ./bench/tree
	if [ -z "$rtbuild" ]; then
		rtbuild=$work/rtbuild
		make -s BIN="$rtbuild" build
	fi
	start_registry
	{ date -u; uptime; "$rtbuild" version; docker buildx version; } | tee "$out/summary.tsv"
	local name
	use_engine docker
	for name in "${cases[@]}"; do
		case $name in
		plan | resolve) "case_$name" ;; # no engine matters
		real_*) for engine in embedded buildkitd; do use_engine "$engine"; "case_$name"; done ;;
		*) for engine in "${engines[@]}"; do use_engine "$engine"; "case_$name"; done ;;
		esac
		use_engine docker
	done
	uptime | tee -a "$out/summary.tsv"
}

main
