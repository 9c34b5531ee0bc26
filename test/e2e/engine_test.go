//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
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
			t.Fatalf("go %q: %v\n%s", args, err, harness.Tail(stderr.String()))
		}
		return strings.TrimSpace(string(out))
	}
	const module = "github.com/moby/buildkit"
	version := run(".", "list", "-m", "-f", "{{.Version}}", module)
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		harness.Write(t, filepath.Join(dir, name), harness.Read(t, filepath.Join("../..", name)))
	}
	run(dir, "get", "-tool", module+"/cmd/buildkitd@"+version)
	run(dir, "build", "-o", "buildkitd", module+"/cmd/buildkitd")
	return filepath.Join(dir, "buildkitd")
}

// A daemon is an engine in PID and mount namespaces of its own, so that nothing
// of it is left when it is killed.
type daemon struct {
	state, socket string
	command       []string
	cmd           *exec.Cmd
	output        bytes.Buffer
}

// startDaemon starts an engine, in a network namespace if one is given, with the
// options that options gives for a folder to keep its state in and a socket to
// listen at.
func startDaemon(t *testing.T, network, program string, options func(state, socket string) []string) *daemon {
	t.Helper()
	// A test's own folder has too long a name for the sockets of some engines.
	state, err := os.MkdirTemp("", "engine-")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{state: state, socket: filepath.Join(state, "sock")}
	d.command = append([]string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child", program}, options(state, d.socket)...)
	if network != "" {
		d.command = append([]string{"nsenter", "--net=" + network}, d.command...)
	}
	t.Cleanup(func() {
		d.kill(t)
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	d.start(t)
	return d
}

func (d *daemon) start(t *testing.T) {
	t.Helper()
	d.cmd = exec.Command(d.command[0], d.command[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = &d.output, &d.output
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if conn, err := net.Dial("unix", d.socket); err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not answer:\n%s", d.command, harness.Tail(d.output.String()))
}

// kill returns when all processes are gone: each of them holds the output.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Errorf("killing the engine: %v", err)
	}
	_ = d.cmd.Wait() // it was killed
}

func buildkitdOptions(state, socket string) []string {
	return []string{"--addr", "unix://" + socket, "--root", filepath.Join(state, "root"), "--oci-worker-net", "host", "--containerd-worker", "false"}
}

// dockerdOptions are those of a second Docker engine beside the machine's own,
// which is to be started in a network of its own.
func dockerdOptions(state, socket string) []string {
	return []string{
		"--host", "unix://" + socket, "--data-root", filepath.Join(state, "data"), "--exec-root", filepath.Join(state, "exec"),
		"--pidfile", filepath.Join(state, "exec.pid"), "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs",
	}
}

// The engine is killed and started again in the middle of a release: manifests
// and tags are as they were, the error says what to do, and doing that
// completes the release.
func TestEngineRestarts(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	engine := startDaemon(t, "", buildkitd(t), buildkitdOptions)
	root := small(t)
	harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo of-the-base > /mark; echo now sleeping; sleep 10\"]\n")
	engine.restartedUnder(t, root, host, "unix://"+engine.socket, func(log string) bool { return strings.Contains(harness.Read(t, log), "now sleeping\n") })
}

// The same of a Docker engine, while it builds the image and while it pushes it.
func TestDockerEngineRestarts(t *testing.T) {
	program, err := exec.LookPath("dockerd")
	if err != nil {
		t.Skip("there is no dockerd: install Debian's docker.io")
	}
	for _, test := range []struct {
		name, held string // the requests that do not come to an end
		dockerfile string // with the address of who holds them
	}{
		{"while it builds", "GET /file", "FROM scratch\nADD http://%s/file /file\n"},
		{"while it pushes", "PATCH /v2/acme/base/blobs/uploads/", "FROM scratch\nCOPY sh /bin/\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			holder := hold(t, harness.Registry(t, harness.RegistryConfig{}), test.held)
			engine := startDaemon(t, network(t, holder.host), program, dockerdOptions)
			t.Setenv("DOCKER_HOST", "unix://"+engine.socket)
			root := small(t)
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), strings.ReplaceAll(test.dockerfile, "%s", holder.host))
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), "FROM acme/base\nCOPY sh /bin/\n")
			engine.restartedUnder(t, root, holder.host, "docker", func(string) bool { return holder.holds.Load() })
		})
	}
}

// restartedUnder releases a tree and restarts the engine when it is in the midst
// of building or pushing the image base, which underway tells from the log's
// file.
func (d *daemon) restartedUnder(t *testing.T, root, host, builder string, underway func(log string) bool) {
	t.Helper()
	before := sources(t, root)
	args := []string{"all", "--push", "--builder", builder, "--registry", host, "--progress", "plain"}
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := harness.Command(root, args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); !underway(log.Name()); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not get there:\n%s", harness.Tail(harness.Read(t, log.Name())))
		}
	}
	d.kill(t)
	// What is left of it in the folder of sockets and process numbers is as gone
	// as after a restart of the machine.
	for _, name := range []string{"exec", "exec.pid"} {
		if err := os.RemoveAll(filepath.Join(d.state, name)); err != nil {
			t.Fatal(err)
		}
	}
	d.start(t)
	_ = cmd.Wait() // the exit code is looked at
	stderr := harness.Read(t, log.Name())
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, text := range []string{"failed base (base/Dockerfile)", "the connection to the engine broke", "run again", "skipped web:1", "nothing is pinned"} {
		if !strings.Contains(stderr, text) {
			t.Errorf("stderr lacks %q:\n%s", text, harness.Tail(stderr))
		}
	}
	unchanged(t, root, before)
	for _, tag := range []string{"base:latest", "web:1", "web:2"} {
		if digest := harness.DigestAt(t, host+"/acme/"+tag); digest != "" {
			t.Errorf("%s was moved, to %s", tag, digest)
		}
	}

	r := harness.Want(t, 0, root, args...)
	for _, image := range imagesOf(t, r.Stdout) {
		if _, digest := harness.Split(image); digest == "" || harness.DigestAt(t, image) != digest {
			t.Errorf("%s: the registry has %q", image, harness.DigestAt(t, image))
		}
	}
}

// A holder sits before a registry, and does not answer the first request that
// begins like held; it serves /file itself.
type holder struct {
	host  string
	holds atomic.Bool
}

func hold(t *testing.T, registry, held string) *holder {
	t.Helper()
	h := &holder{}
	ended := make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registry})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // what the killed engine leaves
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.Method+" "+r.URL.Path, held) && h.holds.CompareAndSwap(false, true):
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		case r.URL.Path == "/file":
			_, _ = w.Write([]byte("file\n"))
		default:
			// The registry names itself as the place of uploads by this.
			r.Host = h.host
			proxy.ServeHTTP(w, r)
		}
	}))
	h.host = strings.TrimPrefix(server.URL, "http://")
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	return h
}
