//go:build e2e

package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// buildkitd is the program, of the version that rtbuild is linked with: that of
// PATH, or one compiled in a module of its own, since it needs more modules
// than rtbuild does.
func buildkitd(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("buildkitd"); err == nil {
		return path
	}
	run := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %q: %v\n%s", args, err, tail(stderr.String()))
		}
		return strings.TrimSpace(string(out))
	}
	const module = "github.com/moby/buildkit"
	version := run(".", "list", "-m", "-f", "{{.Version}}", module)
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join("../..", name)))
	}
	run(dir, "get", "-tool", module+"/cmd/buildkitd@"+version)
	run(dir, "build", "-o", "buildkitd", module+"/cmd/buildkitd")
	return filepath.Join(dir, "buildkitd")
}

// A daemon is a buildkitd in PID and mount namespaces of its own, so that
// nothing of it is left when it is killed.
type daemon struct {
	program, state string
	cmd            *exec.Cmd
	output         bytes.Buffer
}

func startDaemon(t *testing.T, program string) *daemon {
	t.Helper()
	d := &daemon{program: program, state: t.TempDir()}
	d.start(t)
	t.Cleanup(func() { d.kill(t) })
	return d
}

func (d *daemon) socket() string { return filepath.Join(d.state, "sock") }

func (d *daemon) start(t *testing.T) {
	t.Helper()
	d.cmd = exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", d.program,
		"--addr", "unix://"+d.socket(), "--root", filepath.Join(d.state, "root"),
		"--oci-worker-net", "host", "--containerd-worker", "false")
	d.cmd.Stdout, d.cmd.Stderr = &d.output, &d.output
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if conn, err := net.Dial("unix", d.socket()); err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("buildkitd does not answer:\n%s", tail(d.output.String()))
}

// kill returns when all processes are gone: each of them holds the output.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Errorf("killing buildkitd: %v", err)
	}
	_ = d.cmd.Wait() // it was killed
}

// The engine is killed and started again in the middle of a release: manifests
// and tags are as they were, the error says what to do, and doing that
// completes the release.
func TestEngineRestarts(t *testing.T) {
	host := registry(t)
	engine := startDaemon(t, buildkitd(t))
	root := small(t)
	write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo of-the-base > /mark; echo now sleeping; sleep 10\"]\n")
	before := sources(t, root)
	args := []string{"all", "--push", "--builder", "unix://" + engine.socket(), "--registry", host}

	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, append([]string{"-C", root}, args...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); !strings.Contains(read(t, log.Name()), "now sleeping\n"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the build does not begin:\n%s", tail(read(t, log.Name())))
		}
	}
	engine.kill(t)
	engine.start(t)
	_ = cmd.Wait() // the exit code is looked at
	stderr := read(t, log.Name())
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, text := range []string{"failed base (base/Dockerfile)", "the connection to the engine broke", "run again", "skipped web:1", "nothing is pinned"} {
		if !strings.Contains(stderr, text) {
			t.Errorf("stderr lacks %q:\n%s", text, tail(stderr))
		}
	}
	unchanged(t, root, before)
	for _, tag := range []string{"base:latest", "web:1", "web:2"} {
		if digest := digestAt(t, host+"/acme/"+tag); digest != "" {
			t.Errorf("%s was moved, to %s", tag, digest)
		}
	}

	r := want(t, 0, root, args...)
	for _, image := range imagesOf(t, r.stdout) {
		if _, digest, _ := strings.Cut(image, "@"); digest == "" || digestAt(t, image) != digest {
			t.Errorf("%s: the registry has %q", image, digestAt(t, image))
		}
	}
}
