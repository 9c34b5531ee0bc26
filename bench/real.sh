# The images of this repository instead of bench/tree's; sourced, not run. They
# are built by the embedded engine and by a buildkitd; bake beside rtbuild on the
# latter, since Docker's engine 20.10 takes no named contexts, by which bake knows
# what an image is built from.

# The images that are measured: those of one version, and the proxy in it.
real_names=python:3.13
real_worker=stable/python/worker.py

# real_tree clones the repository, and makes its base images where they are not
# at the registry yet; sets tree and dest.
real_tree() {
	tree=$work/$engine-$1 dest=$address/$engine-$1
	export RTBUILD_MIRROR=docker.io=$address/mirror RTBUILD_LOCK_FILE=$work/real.lock
	[ -f "$work/bases" ] || "$repo/hack/base-images.sh" --registry "$address/mirror" >"$work/bases"
	git clone -q "$repo" "$tree"
	git -C "$tree" config user.name bench
	git -C "$tree" config user.email bench@localhost
	"$rtbuild" -C "$tree" plan "$real_names" --output json | real_bake >"$work/$engine-bake.json"
}

# real_bake writes bake's file for a plan of rtbuild's.
real_bake() {
	python3 -c '
import json, sys
dest, mirror = sys.argv[1:]
targets = {t["name"]: t for t in json.load(sys.stdin)["targets"]}
key = lambda name: name.replace(":", "_").replace(".", "_")
bases = {b: "docker-image://%s/library/%s" % (mirror, b) for t in targets.values() for b in t["bases"]}
bake = {"group": {"default": {"targets": [key(n) for n in targets]}}, "target": {}}
for name, t in targets.items():
    parents = {targets[p]["repository"]: "target:" + key(p) for p in t["dependsOn"]}
    bake["target"][key(name)] = {
        "context": t["context"], "dockerfile": t["dockerfile"][len(t["context"]) + 1:], "args": t.get("args", {}),
        "contexts": {**bases, **parents}, "tags": ["%s/bake/%s:%s" % (dest, t["repository"], tag) for tag in t["tags"]]}
json.dump(bake, sys.stdout, indent=1)
' "$dest" "$address/mirror"
}

real_release() { echo "$rtbuild -C $tree all $real_names --push --quiet --builder $builder --registry $dest $*"; }
real_baking() { echo "cd $tree && docker buildx bake ${bake[*]} --file $work/$engine-bake.json --push --progress quiet"; }

# One line of the worker is added and committed before each run; the engine has
# built the images before.
case_real_one() {
	real_tree real-one
	local change="cd $tree && echo \"# \$(date +%s%N)\" >>$real_worker && git commit -qam line"
	bash -c "$(real_release)" >/dev/null
	both "real-one-$engine-rtbuild" "$runs" "$change" "$(real_release)"
	both "real-one-$engine-rtbuild-keep" "$runs" "$change" "$(real_release --rewrite-timestamp=false)"
	[ "$engine" = buildkitd ] || return 0
	bash -c "$(real_baking)"
	both "real-one-$engine-bake" "$runs" "$change" "$(real_baking)"
}

# Nothing is cached, and the repositories are new.
case_real_cold() {
	real_tree real-cold
	local forget="rm -rf $tree/.rtbuild/buildkit"
	[ "$engine" != buildkitd ] || forget="docker buildx prune --builder $remote --all --force"
	local known=$dest file=$work/$engine-bake.json
	dest="$known-\$(date +%s%N)"
	both "real-cold-$engine-rtbuild" "$cold_runs" "$forget" "$(real_release)"
	[ "$engine" = buildkitd ] || return 0
	forget+=" && sed -i \"s#$known[-0-9]*/bake#$dest/bake#\" $file"
	both "real-cold-$engine-bake" "$cold_runs" "$forget" "$(real_baking)"
}
