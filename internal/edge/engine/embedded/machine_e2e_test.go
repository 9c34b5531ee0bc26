//go:build e2e && linux

package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"

	"github.com/rtbuild/rtbuild/internal/edge/engine/embedded"
)

// These environment variables make the test binary build a step on a folder, to
// be killed meanwhile. The step sleeps for the given number of seconds.
const (
	childRoot  = "EMBEDDED_TEST_CHILD_ROOT"
	childSleep = "EMBEDDED_TEST_CHILD_SLEEP"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(childRoot); root != "" {
		fmt.Fprintln(os.Stderr, childBuild(root))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func childBuild(root string) error {
	e, err := embedded.Start(context.Background(), embedded.Config{Root: root, Log: os.Stderr})
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "context")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := writeContext(dir, sleepStep(os.Getenv(childSleep))); err != nil {
		return err
	}
	_, err = solve(context.Background(), e, dir, os.Stdout)
	return err
}

// sleepStep says when it is up and then sleeps.
func sleepStep(seconds string) string {
	return fmt.Sprintf(`RUN ["/busybox", "sh", "-c", "echo step is up; exec /busybox sleep %s"]`, seconds)
}

// sleepTime is a time to sleep, in seconds, that no other process sleeps for.
func sleepTime(offset int) string { return strconv.Itoa(10_000_000*offset + os.Getpid()) }

// start starts an engine that ends with the test.
func start(t *testing.T, cfg embedded.Config) *embedded.Engine {
	t.Helper()
	log := &syncBuffer{}
	if cfg.Log == nil {
		cfg.Log = log
	}
	began := time.Now()
	e, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("engine started in %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("closing the engine: %v", err)
		}
		if t.Failed() {
			t.Logf("engine log:\n%s", log)
		}
	})
	return e
}

// newContext returns a build context of busybox and a Dockerfile with these
// instructions after it.
func newContext(t *testing.T, instructions ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := writeContext(dir, instructions...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeContext(dir string, instructions ...string) error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("apt-get install busybox-static: %w", err)
	}
	busybox, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "busybox"), busybox, 0o755); err != nil {
		return err
	}
	text := "FROM scratch\nADD busybox /busybox\n" + strings.Join(instructions, "\n") + "\n"
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644)
}

// outcome is what a build told.
type outcome struct {
	response map[string]string
	log      string
	cached   map[string]bool // Step names; whether they came from the cache.
}

func build(t *testing.T, e *embedded.Engine, dir string, exports ...client.ExportEntry) outcome {
	t.Helper()
	got, err := solve(t.Context(), e, dir, nil, exports...)
	if err != nil {
		t.Fatalf("building: %v\n%s", err, got.log)
	}
	return got
}

// solve builds the Dockerfile in dir. Output of steps also goes to live.
func solve(ctx context.Context, e *embedded.Engine, dir string, live io.Writer, exports ...client.ExportEntry) (outcome, error) {
	local, err := fsutil.NewFS(dir)
	if err != nil {
		return outcome{}, err
	}
	statuses := make(chan *client.SolveStatus)
	got := outcome{cached: map[string]bool{}}
	var log bytes.Buffer
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for status := range statuses {
			for _, line := range status.Logs {
				log.Write(line.Data)
				if live != nil {
					_, _ = live.Write(line.Data)
				}
			}
			for _, vertex := range status.Vertexes {
				got.cached[vertex.Name] = vertex.Cached
			}
		}
		return nil
	})
	group.Go(func() error {
		response, err := e.Client().Solve(ctx, nil, client.SolveOpt{
			Frontend:    "dockerfile.v0",
			LocalMounts: map[string]fsutil.FS{"context": local, "dockerfile": local},
			SharedKey:   dir,
			Exports:     exports,
		}, statuses)
		if err == nil {
			got.response = response.ExporterResponse
		}
		return err
	})
	err = group.Wait()
	got.log = log.String()
	return got, err
}

func (o outcome) stepCached(t *testing.T, word string) bool {
	t.Helper()
	for name, cached := range o.cached {
		if strings.Contains(name, word) {
			return cached
		}
	}
	t.Fatalf("no step with %q among %v", word, o.cached)
	return false
}

// noLeftovers checks that no process sleeps for this time, and that root has no
// mounts and no folders of unfinished steps.
func noLeftovers(t *testing.T, root, seconds string) {
	t.Helper()
	if found := processes(t, seconds); found != nil {
		t.Errorf("processes left: %v", found)
	}
	if found := mountsUnder(t, root); found != nil {
		t.Errorf("mounts left: %v", found)
	}
	if found, err := filepath.Glob(root + "/runc-*/executor/*/rootfs"); err != nil || found != nil {
		t.Errorf("folders of steps left: %v (%v)", found, err)
	}
}

// processes lists the processes that sleep, or are about to, for this time.
func processes(t *testing.T, seconds string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte("sleep")) && bytes.Contains(line, []byte(seconds)) {
			found = append(found, path)
		}
	}
	return found
}

// cgroupsUnder lists the cgroups of the unfinished steps in root.
func cgroupsUnder(t *testing.T, root string) []string {
	t.Helper()
	bundles, err := filepath.Glob(root + "/runc-*/executor/*/rootfs")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, bundle := range bundles {
		id := filepath.Base(filepath.Dir(bundle))
		for _, pattern := range []string{"/sys/fs/cgroup/buildkit/" + id, "/sys/fs/cgroup/*/buildkit/" + id} {
			cgroups, err := filepath.Glob(pattern)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, cgroups...)
		}
	}
	return found
}

func mountsUnder(t *testing.T, root string) []string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, root+"/") {
			found = append(found, line)
		}
	}
	return found
}

// waitFor closes seen when text has been written to it.
type waitFor struct {
	text string
	seen chan struct{}
	got  bytes.Buffer
	once sync.Once
}

func (w *waitFor) Write(p []byte) (int, error) {
	w.got.Write(p)
	if strings.Contains(w.got.String(), w.text) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

// syncBuffer is a buffer for several writers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
