package embedded

import (
	"slices"
	"strings"
	"testing"
)

const mountTable = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup ro,nosuid shared:9 master:2 - cgroup2 cgroup rw,nsdelegate
41 22 0:40 / /var/lib/a\040b/runc-overlayfs/executor/abc/rootfs rw - overlay overlay rw,lowerdir=/var/lib/a\040b/runc-overlayfs/snapshots/snapshots/2/fs:/var/lib/a\040b/runc-overlayfs/snapshots/snapshots/1/fs,upperdir=/var/lib/a\040b/runc-overlayfs/snapshots/snapshots/3/fs,workdir=/var/lib/a\040b/runc-overlayfs/snapshots/snapshots/3/work
42 22 0:41 / /tmp/buildkit-mount1 rw - overlay overlay rw,lowerdir=/elsewhere/1/fs,upperdir=/elsewhere/2/fs,workdir=/elsewhere/2/work
`

func TestParseMounts(t *testing.T) {
	mounts, err := parseMounts(mountTable)
	if err != nil {
		t.Fatal(err)
	}
	if len(mounts) != 4 {
		t.Fatalf("got %d mounts, want 4", len(mounts))
	}
	if m := mounts[0]; m.path != "/" || m.fsType != "ext4" || m.readOnly || m.layers != nil {
		t.Errorf("root: got %+v", m)
	}
	if m := mounts[1]; m.path != "/sys/fs/cgroup" || m.fsType != "cgroup2" || !m.readOnly {
		t.Errorf("cgroup with optional fields: got %+v", m)
	}
	snapshots := "/var/lib/a b/runc-overlayfs/snapshots/snapshots/"
	want := []string{snapshots + "2/fs", snapshots + "1/fs", snapshots + "3/fs", snapshots + "3/work"}
	if got := mounts[2].layers; !slices.Equal(got, want) {
		t.Errorf("layers: got %q, want %q", got, want)
	}
	if got := mounts[2].path; got != "/var/lib/a b/runc-overlayfs/executor/abc/rootfs" {
		t.Errorf("path: got %q", got)
	}
}

func TestParseMountsRefusesUnknownLines(t *testing.T) {
	for _, line := range []string{"22 1 254:0 / / rw,relatime ext4 /dev/vda rw\n", "22 1 / - ext4 d rw\n", "\n"} {
		_, err := parseMounts(mountTable + line)
		if err == nil || !strings.Contains(err.Error(), "line 5") {
			t.Errorf("%q: got error %v, want one naming line 5", line, err)
		}
	}
}

func TestLeftoverMount(t *testing.T) {
	layer := "/var/lib/build/runc-overlayfs/snapshots/snapshots/3/fs"
	for _, test := range []struct {
		name string
		m    mountPoint
		want bool
	}{
		{"root of a step", mountPoint{path: "/var/lib/build/runc-overlayfs/executor/abc/rootfs"}, true},
		{"mount inside a step", mountPoint{path: "/var/lib/build/runc-native/executor/abc/rootfs/proc"}, true},
		{"cache mount", mountPoint{path: "/var/lib/build/runc-overlayfs/cachemounts/buildkit12"}, true},
		{"temporary mount of our layers", mountPoint{path: "/tmp/buildkit-mount12", layers: []string{layer}}, true},
		{"temporary mount of other layers", mountPoint{path: "/tmp/buildkit-mount12", layers: []string{"/var/lib/build2/fs"}}, false},
		{"temporary name without layers", mountPoint{path: "/tmp/buildkit-mount12"}, false},
		{"somebody's own mount of our layers", mountPoint{path: "/mnt/look", layers: []string{layer}}, false},
		{"disk for the snapshots", mountPoint{path: "/var/lib/build/runc-overlayfs/snapshots"}, false},
		{"disk for the executor", mountPoint{path: "/var/lib/build/runc-overlayfs/executor"}, false},
		{"root itself", mountPoint{path: "/var/lib/build"}, false},
		{"folder of a like name", mountPoint{path: "/var/lib/build2/runc-overlayfs/executor/abc/rootfs"}, false},
		{"above root", mountPoint{path: "/"}, false},
	} {
		if got := isLeftover(test.m, "/var/lib/build"); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestCheckCgroups(t *testing.T) {
	for _, test := range []struct {
		name   string
		mounts []mountPoint
		want   string // Part of the error; empty for none.
	}{
		{"v2", []mountPoint{{path: "/sys/fs/cgroup", fsType: "cgroup2"}}, ""},
		{"v2 read-only", []mountPoint{{path: "/sys/fs/cgroup", fsType: "cgroup2", readOnly: true}}, "/sys/fs/cgroup is mounted read-only"},
		{"v1 with one read-only", []mountPoint{
			{path: "/sys/fs/cgroup/cpu", fsType: "cgroup"},
			{path: "/sys/fs/cgroup/devices", fsType: "cgroup", readOnly: true},
		}, "/sys/fs/cgroup/devices is mounted read-only"},
		{"other file systems may be read-only", []mountPoint{
			{path: "/usr", fsType: "ext4", readOnly: true},
			{path: "/sys/fs/cgroup/cpu", fsType: "cgroup"},
		}, ""},
		{"none", []mountPoint{{path: "/", fsType: "ext4"}}, "no cgroup file system is mounted"},
	} {
		err := checkCgroups(test.mounts)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestEffectiveCapabilities(t *testing.T) {
	got, err := effectiveCapabilities("Name:\tx\nCapPrm:\tffff\nCapEff:\t00000000a80425fb\nCapBnd:\tffff\n")
	if err != nil || got != 0xa80425fb {
		t.Errorf("got %x, %v", got, err)
	}
	for _, status := range []string{"", "CapEff:\tzz\n"} {
		if _, err := effectiveCapabilities(status); err == nil {
			t.Errorf("%q: got no error", status)
		}
	}
}

func TestInCgroup(t *testing.T) {
	for _, test := range []struct {
		table string
		want  bool
	}{
		{"0::/buildkit/abc\n", true},
		{"9:name=systemd:/\n4:memory:/outer/buildkit/abc\n0::/\n", true},
		{"0::/buildkit/abc/below\n", true},
		{"0::/buildkit/abcd\n", false},
		{"0::/\n", false},
		{"", false},
	} {
		if got := inCgroup(test.table, "abc"); got != test.want {
			t.Errorf("%q: got %v, want %v", test.table, got, test.want)
		}
	}
}
