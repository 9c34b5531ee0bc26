//go:build e2e && linux

package embedded_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/worker/label"
	digest "github.com/opencontainers/go-digest"

	"github.com/rtbuild/rtbuild/internal/edge/engine/embedded"
	"github.com/rtbuild/rtbuild/internal/harness"
)

func TestCacheOutlivesEngine(t *testing.T) {
	root := t.TempDir()
	dir := newContext(t, `RUN ["/busybox", "sh", "-c", "echo uid $(/busybox id -u); echo made > /made"]`)
	first := start(t, embedded.Config{Root: root})
	got := build(t, first, dir)
	if got.stepCached(t, "echo uid") {
		t.Error("the first build came from a cache")
	}
	if !strings.Contains(got.log, "uid 0") {
		t.Errorf("output of the step: %q", got.log)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	second := start(t, embedded.Config{Root: root})
	if !build(t, second, dir).stepCached(t, "echo uid") {
		t.Error("the second engine did not find the step in the cache")
	}
}

// A process that is killed while it makes a snapshot leaves a folder that its
// database does not know, under the number of the next one.
func TestUnknownSnapshots(t *testing.T) {
	root := t.TempDir()
	first := start(t, embedded.Config{Root: root})
	dir := newContext(t, `RUN ["/busybox", "sh", "-c", "echo first"]`)
	build(t, first, dir)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob(filepath.Join(root, "runc-*", "snapshots", "snapshots"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("snapshots are in %v (error %v)", folders, err)
	}
	for number := range 40 {
		stray := filepath.Join(folders[0], strconv.Itoa(number+1), "fs")
		if err := os.MkdirAll(stray, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	second := start(t, embedded.Config{Root: root})
	if !build(t, second, dir).stepCached(t, "echo first") {
		t.Error("what the database knows is gone")
	}
	build(t, second, newContext(t, `RUN ["/busybox", "sh", "-c", "echo second"]`))
}

func TestSecondEngineOnRootIsRefused(t *testing.T) {
	root := t.TempDir()
	start(t, embedded.Config{Root: root})
	_, err := embedded.Start(t.Context(), embedded.Config{Root: root})
	if err == nil {
		t.Fatal("two engines run on one folder")
	}
	for _, want := range []string{root, "process " + strconv.Itoa(os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

func TestFailingStep(t *testing.T) {
	e := start(t, embedded.Config{Root: t.TempDir()})
	dir := newContext(t, `RUN ["/busybox", "sh", "-c", "echo about to fail; exit 7"]`)
	got, err := solve(t.Context(), e, dir, nil)
	if err == nil || !strings.Contains(err.Error(), "exit code: 7") {
		t.Errorf("got error %v, want one with the exit code", err)
	}
	if !strings.Contains(got.log, "about to fail") {
		t.Errorf("output of the step: %q", got.log)
	}
}

func TestCloseStopsRunningStep(t *testing.T) {
	root := t.TempDir()
	e := start(t, embedded.Config{Root: root})
	sleep := sleepTime(1)
	dir := newContext(t, sleepStep(sleep))
	up := &waitFor{text: "step is up", seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := solve(context.Background(), e, dir, up)
		ended <- err
	}()
	select {
	case <-up.seen:
	case err := <-ended:
		t.Fatalf("the build ended: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the build succeeded")
	}
	noLeftovers(t, root, sleep)
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		offset int
		after  func(t *testing.T, root string)
	}{
		{"container known to runc", 2, func(*testing.T, string) {}},
		// As when runc, too, was killed before it had noted the container.
		{"container unknown to runc", 3, forgetContainers},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, sleep := t.TempDir(), sleepTime(test.offset)
			killDuringStep(t, root, sleep)
			if processes(t, sleep) == nil || mountsUnder(t, root) == nil {
				t.Fatal("the killed process left no process or no mount behind: this test proves nothing")
			}
			cgroups := cgroupsUnder(t, root)
			if cgroups == nil {
				t.Fatal("the killed process left no cgroup behind: this test proves nothing")
			}
			test.after(t, root)
			e := start(t, embedded.Config{Root: root})
			noLeftovers(t, root, sleep)
			for _, cgroup := range cgroups {
				if _, err := os.Stat(cgroup); err == nil {
					t.Errorf("a cgroup is left: %s", cgroup)
				}
			}
			dir := newContext(t, `RUN ["/busybox", "sh", "-c", "echo works again"]`)
			if got := build(t, e, dir); !strings.Contains(got.log, "works again") {
				t.Errorf("output of the step: %q", got.log)
			}
		})
	}
}

// killDuringStep kills a process that builds on root while a step runs.
func killDuringStep(t *testing.T, root, sleep string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childRoot+"="+root, childSleep+"="+sleep)
	up := &waitFor{text: "step is up", seen: make(chan struct{})}
	log := &syncBuffer{}
	child.Stdout, child.Stderr = up, log
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case <-up.seen:
	case err := <-ended:
		t.Fatalf("the child ended: %v\n%s", err, log)
	}
	holder := "process " + strconv.Itoa(child.Process.Pid)
	if _, err := embedded.Start(t.Context(), embedded.Config{Root: root}); err == nil || !strings.Contains(err.Error(), holder) {
		t.Errorf("starting beside the child: got error %v, want one naming %s", err, holder)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the child ended by itself")
	}
}

// forgetContainers removes what runc noted of the containers of root.
func forgetContainers(t *testing.T, root string) {
	t.Helper()
	bundles, err := filepath.Glob(root + "/runc-*/executor/*/rootfs")
	if err != nil || len(bundles) != 1 {
		t.Fatalf("unfinished steps: %v (%v), want one", bundles, err)
	}
	state := filepath.Join("/run/runc", filepath.Base(filepath.Dir(bundles[0])))
	if _, err := os.Stat(state); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
}

// runc notes the containers of all engines on a machine in one folder.
func TestStartsBesideBuilds(t *testing.T) {
	beside := start(t, embedded.Config{Root: t.TempDir()})
	var steps []string
	for i := range 25 {
		steps = append(steps, fmt.Sprintf(`RUN ["/busybox", "echo", "%d"]`, i))
	}
	dir := newContext(t, steps...)
	ended := make(chan error, 1)
	go func() {
		_, err := solve(t.Context(), beside, dir, nil)
		ended <- err
	}()
	root := t.TempDir()
	for starts := 0; ; starts++ {
		// So that there is something to clear.
		unfinished := filepath.Join(root, "runc-overlayfs", "executor", "unfinished")
		if err := os.MkdirAll(unfinished, 0o755); err != nil {
			t.Fatal(err)
		}
		e, err := embedded.Start(t.Context(), embedded.Config{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(unfinished); err == nil {
			t.Fatal("the unfinished step is still there: this test proves nothing")
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d starts", starts)
			return
		default:
		}
	}
}

// An overlay cannot carry another, as inside many containers.
func TestRootOnOverlay(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	merged := filepath.Join(dir, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Detached: the kernel takes down the step's mount namespace, which has
		// a copy of this mount, some time after the step.
		if err := syscall.Unmount(merged, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	e := start(t, embedded.Config{Root: filepath.Join(merged, "state")})
	workers, err := e.Client().ListWorkers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("got workers %v (%v), want one", workers, err)
	}
	if got := workers[0].Labels[label.Snapshotter]; got != "native" {
		t.Errorf("layers are kept by snapshotter %q: this test proves nothing", got)
	}
	step := newContext(t, `RUN ["/busybox", "sh", "-c", "echo on plain copies"]`)
	if got := build(t, e, step); !strings.Contains(got.log, "on plain copies") {
		t.Errorf("output of the step: %q", got.log)
	}
}

func TestPushToLoopbackRegistry(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	e := start(t, embedded.Config{Root: t.TempDir()})
	dir := newContext(t, `RUN ["/busybox", "touch", "/made"]`)
	name := host + "/fn/hello:v1"
	got := build(t, e, dir, pushed(name))
	want := got.response["containerimage.digest"]
	if _, err := digest.Parse(want); err != nil {
		t.Fatalf("the build gave no digest: %v (%v)", err, got.response)
	}
	if head := harness.DigestAt(t, host+"/fn/hello:v1"); head != want {
		t.Errorf("the registry has %s, the build said %s", head, want)
	}
	// The pushed image is a base for another build.
	next := t.TempDir()
	text := "FROM " + name + "\nRUN [\"/busybox\", \"ls\", \"/made\"]\n"
	if err := os.WriteFile(filepath.Join(next, "Dockerfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := build(t, e, next); !strings.Contains(got.log, "/made") {
		t.Errorf("output of the step: %q", got.log)
	}
}

func TestPushToInsecureRegistry(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{Host: outsideAddress(t)})
	dir := newContext(t)
	strict := start(t, embedded.Config{Root: t.TempDir()})
	if _, err := solve(t.Context(), strict, dir, nil, pushed(host+"/fn/hello:v1")); err == nil || !strings.Contains(err.Error(), "HTTPS") {
		t.Errorf("pushing over plain HTTP without leave: got error %v, want one about HTTPS", err)
	}
	lax := start(t, embedded.Config{Root: t.TempDir(), Insecure: []string{host}})
	got := build(t, lax, dir, pushed(host+"/fn/hello:v1"))
	if head, want := harness.DigestAt(t, host+"/fn/hello:v1"), got.response["containerimage.digest"]; head != want {
		t.Errorf("the registry has %s, the build said %s", head, want)
	}
}

func pushed(name string) client.ExportEntry {
	return client.ExportEntry{Type: client.ExporterImage, Attrs: map[string]string{"name": name, "push": "true"}}
}

// outsideAddress is an IPv4 address of this machine other than loopback.
func outsideAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		network, ok := address.(*net.IPNet)
		if ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address besides loopback")
	return ""
}

func TestNoGoroutinesPileUp(t *testing.T) {
	root := t.TempDir()
	dir := newContext(t, `RUN ["/busybox", "true"]`)
	cycle := func() {
		e, err := embedded.Start(t.Context(), embedded.Config{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		build(t, e, dir)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle() // What is started once per process.
	before := runtime.NumGoroutine()
	const cycles = 5
	for range cycles {
		cycle()
	}
	// BuildKit keeps a few sleeping goroutines per controller that it cannot
	// stop (its garbage collection timers).
	const allowed = 5
	if after := runtime.NumGoroutine(); after > before+cycles*allowed {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		t.Errorf("%d goroutines before, %d after %d engines\n%s", before, after, cycles, stacks)
	} else {
		t.Logf("%d goroutines before, %d after %d engines", before, after, cycles)
	}
}
