#!/bin/bash
# Runs a command beside a Kubernetes node of its own: API server, controllers,
# scheduler, kubelet, containerd, kube-proxy, all ended with the command.
#
#   test/kube/node.sh COMMAND ARG...
#
# They and the command are in namespaces of their own (network, mounts,
# processes), so that the machine's iptables, interfaces and processes stay as
# they are: what is added there, and removed at the end, is one interface to
# reach the network by, three rules that let its packets through, and a control
# group. The command has a KUBECONFIG and a kubectl, and reaches Pods, Services
# and its own loopback alone; so do registries that the node is to pull from.
#
# Needed: root, kubebox (build.sh), containerd, runc, the CNI plugins, iptables,
# iproute2 and a static busybox.
set -euo pipefail

die() { echo "node.sh: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
plugins=${CNI_BIN:-/usr/lib/cni}

# ---- Outside: the namespaces, and the way out of them.

outside() {
	[ $# -gt 0 ] || die "usage: node.sh COMMAND ARG..."
	[ "$(id -u)" -eq 0 ] || die "a node needs root"
	local command
	for command in containerd runc ctr iptables ip unshare busybox; do
		command -v $command >/dev/null || die "$command is missing"
	done
	[ -x "$plugins/bridge" ] || die "there are no CNI plugins in $plugins (Debian's package is containernetworking-plugins)"
	RTBUILD_KUBEBOX=${RTBUILD_KUBEBOX:-$("$here/build.sh" --cached)}
	export RTBUILD_KUBEBOX

	folder=$(mktemp -d /tmp/kube.XXXXXX) # short: sockets' paths are
	name=${folder##*.}
	# Addresses of the range for tests of networks, by the process's number so
	# that several can run.
	local part=$((($$ % 16384) * 4))
	network=198.$((18 + part / 65536)).$((part / 256 % 256)).$((part % 256))
	NODE_GATEWAY=${network%.*}.$((${network##*.} + 1)) NODE_ADDRESS=${network%.*}.$((${network##*.} + 2))
	export NODE_GATEWAY NODE_ADDRESS
	trap clean EXIT
	trap 'exit 1' HUP INT TERM
	make_cgroup

	unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$folder" "kube-$name" "$@" <&0 &
	inner=$!
	local own
	own=$(readlink /proc/self/ns/net)
	while [ "$(readlink "/proc/$inner/ns/net")" = "$own" ]; do
		kill -0 "$inner" 2>/dev/null || die "the namespaces could not be made"
		sleep 0.05
	done
	ip link add "k-$name" type veth peer name uplink netns "$inner"
	ip address add "$NODE_GATEWAY/30" dev "k-$name"
	ip link set "k-$name" up
	sysctl -qw net.ipv4.ip_forward=1
	rules -I
	touch "$folder/connected"
	local status=0
	wait "$inner" || status=$?
	return $status
}

# rules adds (-I) or removes (-D) what lets the node's packets through.
rules() {
	iptables -w "$1" FORWARD -i "k-$name" -j ACCEPT
	iptables -w "$1" FORWARD -o "k-$name" -j ACCEPT
	iptables -w -t nat "$1" POSTROUTING -s "$network/30" -j MASQUERADE
}

# cgroups lists the mounted hierarchies of control groups.
cgroups() {
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		echo /sys/fs/cgroup
	else
		awk '$3 == "cgroup" && $2 ~ "^/sys/fs/cgroup/" { print $2 }' /proc/self/mounts
	fi
}

make_cgroup() {
	local hierarchy file
	for hierarchy in $(cgroups); do
		mkdir "$hierarchy/kube-$name"
		# Where these are, a group has none until it is told.
		for file in cpuset.cpus cpuset.mems; do
			[ ! -e "$hierarchy/kube-$name/cpuset.cpu_exclusive" ] || cat "$hierarchy/$file" >"$hierarchy/kube-$name/$file"
		done
	done
}

clean() {
	if [ -n "${inner:-}" ]; then
		kill -KILL "$inner" 2>/dev/null || true
		wait "$inner" 2>/dev/null || true
		rules -D 2>/dev/null || true
		ip link delete "k-$name" 2>/dev/null || true
	fi
	local hierarchy
	for hierarchy in $(cgroups); do
		for _ in $(seq 50); do
			find "$hierarchy/kube-$name" -depth -type d -exec rmdir {} + 2>/dev/null && break
			[ -e "$hierarchy/kube-$name" ] || break
			sleep 0.1
		done
	done
	rm -rf "$folder"
}

# ---- Inside: the node, then the command. This is the first process of its
# namespace, so that all others end with it.

inside() {
	folder=$1 cgroup=$2
	shift 2
	cd "$folder"
	# kubelet and containerd share their mounts with each other, and with nobody
	# outside.
	mount --make-rshared /
	# What they write to places that no flag sets goes with the namespace.
	mkdir upper work
	mount -t overlay -o "lowerdir=/var/lib,upperdir=$folder/upper,workdir=$folder/work" node /var/lib
	mount -t tmpfs node /var/log
	until [ -e connected ]; do sleep 0.05; done
	ip link set lo up
	ip address add "$NODE_ADDRESS/30" dev uplink
	ip link set uplink up
	ip route add default via "$NODE_GATEWAY"
	echo 1 >/proc/sys/net/ipv4/ip_forward
	# Packets between Pods pass kube-proxy's rules, too.
	echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

	mkdir -p bin logs
	local component
	for component in kubectl kubelet kube-controller-manager kube-scheduler kube-proxy; do
		ln -s "$RTBUILD_KUBEBOX" "bin/$component"
	done
	export PATH=$folder/bin:$PATH KUBECONFIG=$folder/api/kubeconfig
	configure

	mkfifo end
	start containerd containerd --config containerd.toml
	# A server ends with its stdin, which this keeps open.
	exec 9<>end
	start api "$RTBUILD_KUBEBOX" serve --dir api --service-accounts <end
	await 120 "the API server" test -e api/kubeconfig
	start controllers kube-controller-manager --kubeconfig="$KUBECONFIG" --leader-elect=false \
		--service-account-private-key-file=api/service-account.key --root-ca-file=api/certificates/apiserver.crt \
		--bind-address=127.0.0.1 --node-monitor-grace-period=5m
	start scheduler kube-scheduler --kubeconfig="$KUBECONFIG" --leader-elect=false --bind-address=127.0.0.1
	start kube-proxy kube-proxy --kubeconfig="$KUBECONFIG" --proxy-mode=iptables --hostname-override=localhost \
		--cluster-cidr=10.244.0.0/16 --conntrack-max-per-core=0 --metrics-bind-address=127.0.0.1:10249 --iptables-min-sync-period=200ms
	await 60 "containerd" ctr --address "$folder/containerd.sock" version
	pause_image
	ctr --address "$folder/containerd.sock" --namespace k8s.io images import pause.tar >logs/pause
	# The API server reaches the kubelet at this name, on loopback.
	start kubelet kubelet --kubeconfig="$KUBECONFIG" --config=kubelet.yaml --hostname-override=localhost \
		--node-ip="$NODE_ADDRESS" --root-dir="$folder/kubelet" --cert-dir="$folder/kubelet-pki"
	await 120 "the node" ready

	local status=0
	cd "$OLDPWD"
	"$@" || status=$?
	exit $status
}

# ready tells whether the node takes Pods of the default service account.
ready() {
	kubectl wait --for=condition=Ready node --all --timeout=1s && kubectl get serviceaccount default
}

# start NAME COMMAND... starts a server.
start() {
	local name=$1
	shift
	"$@" <&0 >"logs/$name" 2>&1 &
}

# await SECONDS WHAT COMMAND... repeats a command until it succeeds.
await() {
	local until=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >logs/await 2>&1; do
		if [ $SECONDS -ge $until ]; then
			cat logs/await >&2
			tail -n 20 logs/* >&2
			die "$what did not start"
		fi
		sleep 0.2
	done
}

configure() {
	mkdir cni
	cat >cni/10-bridge.conflist <<-END
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [
		  {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "$folder/addresses",
		            "ranges": [[{"subnet": "10.244.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}
		]}
	END
	# Pods' OOM scores stay at what a shell without CAP_SYS_RESOURCE may set.
	cat >containerd.toml <<-END
		version = 2
		root = "$folder/containerd"
		state = "$folder/run"
		disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
		  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
		[grpc]
		  address = "$folder/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "rtbuild.test/pause:1"
		  restrict_oom_score_adj = true
		  netns_mounts_under_state_dir = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "$plugins"
		    conf_dir = "$folder/cni"
		  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		    runtime_type = "io.containerd.runc.v2"
		    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		      SystemdCgroup = false
	END
	# A full disk or a busy machine is no reason to move tests elsewhere.
	cat >kubelet.yaml <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: 127.0.0.1
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup
		containerRuntimeEndpoint: unix://$folder/containerd.sock
		eventRecordQPS: 0
		evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
		failCgroupV1: false
		failSwapOn: false
		imageGCHighThresholdPercent: 100
		oomScoreAdj: 0
		registryPullQPS: 0
		resolvConf: /etc/resolv.conf
		serializeImagePulls: false
		volumePluginDir: $folder/plugins
	END
}

# pause_image makes what holds a Pod's namespaces open.
pause_image() {
	mkdir -p pause/bin
	cp "$(command -v busybox)" pause/bin/busybox
	tar --create --owner=0 --group=0 --directory pause --file layer.tar bin
	cat >config.json <<-END
		{"architecture": "$(cd "$here" && go env GOARCH)", "os": "linux", "config": {"Entrypoint": ["/bin/busybox", "sleep", "1000000000"]},
		 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum layer.tar | cut -d' ' -f1)"]}}
	END
	echo '[{"Config": "config.json", "RepoTags": ["rtbuild.test/pause:1"], "Layers": ["layer.tar"]}]' >manifest.json
	tar --create --file pause.tar manifest.json config.json layer.tar
}

if [ "${1-}" = --inside ]; then
	shift
	inside "$@"
else
	outside "$@"
fi
