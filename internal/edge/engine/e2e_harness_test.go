//go:build e2e && linux

package engine

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	dockerclient "github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/rtbuild/rtbuild/internal/edge/logins"
	"github.com/rtbuild/rtbuild/internal/harness"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// A bench is one engine with a registry beside it, and the program that its
// images run.
type bench struct {
	choice   string // Config.Builder
	builder  *builder
	registry string // HOST:PORT
	// private is HOST/PATH/ of images that are not pushed. It is this run's
	// own: others may use the same engine at the same time.
	private string
	tool    []byte
}

// openBuilder opens an engine, and closes it with the test.
func openBuilder(t *testing.T, choice string) *builder {
	t.Helper()
	return openBuilderTo(t, choice, t.Output())
}

// openBuilderTo opens an engine that reports to out.
func openBuilderTo(t *testing.T, choice string, out io.Writer) *builder {
	t.Helper()
	b, err := Open(t.Context(), Config{
		Builder:  choice,
		StateDir: t.TempDir(),
		Progress: Progress{Out: out, Mode: ProgressPlain},
		Log:      out,
		Logins:   logins.Find,
	})
	if err != nil {
		t.Fatalf("opening builder %s: %v", choice, err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing builder %s: %v", choice, err)
		}
	})
	return b.(*builder)
}

// sweep removes the images whose references begin so from an engine that keeps
// images.
func (b bench) sweep(t *testing.T, beginnings ...string) {
	t.Helper()
	var api *dockerclient.Client
	switch store := b.builder.engine.store.(type) {
	case *graphDriverStore:
		api = store.api
	case *containerdStore:
		api = store.api
	default:
		return
	}
	for _, ours := range beginnings {
		images, err := api.ImageList(context.Background(), image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", ours+"*"))})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range images {
			if _, err := api.ImageRemove(context.Background(), i.ID, image.RemoveOptions{Force: true, PruneChildren: true}); err != nil {
				t.Errorf("removing image %s: %v", i.ID, err)
			}
		}
	}
}

// buildTool compiles testdata/tool without libraries, for images from scratch.
func buildTool(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "tool")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/tool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compiling the tool: %v\n%s", err, msg)
	}
	tool, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// deadAddress is an address on 127.0.0.1 that refuses connections until the
// test ends: its port is taken, but nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}

// await polls until done holds; it gives up, and fails, after half a minute.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// request makes a build of a context with the tool and these files, not yet
// pushed. A file named Dockerfile is the Dockerfile.
func (b bench) request(t *testing.T, name string, files map[string]string) build.Request {
	t.Helper()
	return b.requestIn(t, t.TempDir(), name, files)
}

// requestIn is request with the context in dir.
func (b bench) requestIn(t *testing.T, dir, name string, files map[string]string) build.Request {
	t.Helper()
	write := func(path string, data []byte, mode os.FileMode) {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("tool", b.tool, 0o755)
	for path, text := range files {
		write(path, []byte(text), 0o644)
	}
	return build.Request{
		Name:           name,
		Context:        contextOf(t, dir, "Dockerfile"),
		Dockerfile:     []byte(files["Dockerfile"]),
		DockerfileName: "Dockerfile",
		References:     []string{b.registry + "/test/" + name + ":1"},
	}
}

// mustBuild builds, or fails the test.
func (b bench) mustBuild(t *testing.T, req build.Request) build.Result {
	t.Helper()
	result, err := b.builder.Build(t.Context(), req)
	if err != nil {
		t.Fatalf("Build(%s): %v", req.Name, err)
	}
	return result
}

// pushed builds and pushes, and returns the image as the registry has it.
func (b bench) pushed(t *testing.T, req build.Request) (build.Result, pulled) {
	t.Helper()
	req.Push = true
	result := b.mustBuild(t, req)
	return result, pull(t, req.References[0])
}

// A pulled image is what a registry serves for a reference.
type pulled struct {
	digest      string
	annotations map[string]string
	config      ocispec.Image
	// files are the regular files of all layers, by absolute path; an upper
	// layer's win.
	files map[string]string
}

// pull fetches the single-platform image HOST/NAME:TAG.
func pull(t *testing.T, ref string) pulled {
	t.Helper()
	got := pulled{digest: harness.DigestAt(t, ref), files: map[string]string{}}
	repository, version := harness.Split(ref)
	var manifest ocispec.Manifest
	harness.ManifestAt(t, repository, version, &manifest)
	got.annotations = manifest.Annotations
	config := blob(t, repository, manifest.Config)
	if err := json.NewDecoder(config).Decode(&got.config); err != nil {
		t.Fatal(err)
	}
	for _, layer := range manifest.Layers {
		unpack(t, blob(t, repository, layer), got.files)
	}
	return got
}

// blob is what a repository has for a descriptor.
func blob(t *testing.T, repository string, of ocispec.Descriptor) io.Reader {
	t.Helper()
	response := harness.Ask(t, http.MethodGet, repository, "blobs/"+of.Digest.String())
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s of %s: %s", of.Digest, repository, response.Status)
	}
	return response.Body
}

func unpack(t *testing.T, layer io.Reader, files map[string]string) {
	t.Helper()
	plain, err := gzip.NewReader(layer)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files["/"+strings.TrimPrefix(entry.Name, "/")] = string(data)
	}
}

// running tells whether a process has mark among its arguments.
func running(t *testing.T, mark string) bool {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		// A process that ended meanwhile is no error.
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), mark) {
			return true
		}
	}
	return false
}

// cancellable is a context that a test cancels.
func cancellable(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
