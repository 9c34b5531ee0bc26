//go:build e2e

package docker

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// An image of one static program, without a shell, a user or a folder for the
// volume: containers need nothing of it. The program is this test.
func TestE2E(t *testing.T) {
	c, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	image, err := c.Image(t.Context(), "rtbuild-test.invalid/missing:1", containerImage(t))
	if err != nil {
		t.Fatal(err)
	}
	if image.User != "12:34" || !strings.HasPrefix(image.ID, "sha256:") {
		t.Errorf("image %+v", image)
	}
	volume, err := c.CreateVolume(t.Context(), containers.Volume{Image: image.ID, Group: 1000, Files: []function.File{{Name: "f", Content: []byte("from the volume\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.RemoveVolume(context.Background(), volume); err != nil {
			t.Error(err)
		}
	})
	spec := containers.Container{
		Image: image.ID, WorkingDir: "/data", Env: []function.Variable{{Name: "ROLE", Value: "run"}},
		User: 1000, Group: 1000, Volume: volume, Mount: "/data",
	}
	t.Run("run", func(t *testing.T) {
		got, err := c.Run(t.Context(), spec)
		want := containers.Outcome{ExitCode: 7, Stdout: "from the volume\n", Stderr: "uid 1000\n", TerminationLog: "the reason"}
		if err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
	t.Run("start", func(t *testing.T) { containerStarts(t, c, spec) })
	t.Run("removed at once by several", func(t *testing.T) { removedTogether(t, c, spec) })
	t.Run("missing image", func(t *testing.T) {
		if _, err := c.Image(t.Context(), "127.0.0.1:1/missing:1"); err == nil || !strings.Contains(err.Error(), "pulling 127.0.0.1:1/missing:1") {
			t.Errorf("got %v", err)
		}
	})
}

func containerStarts(t *testing.T, c *Engine, spec containers.Container) {
	spec.Env = []function.Variable{{Name: "ROLE", Value: "wait"}}
	spec.ReadOnly, spec.Port = true, 8080
	s, err := c.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
		t.Errorf("its URL is %s", s.URL())
	}
	for output := (containers.Output{}); !strings.Contains(output.Stdout, "ready"); time.Sleep(20 * time.Millisecond) {
		if output, err = s.Logs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	processes, err := s.Processes(t.Context())
	if err != nil || len(processes) != 1 || processes[0].UID != 1000 {
		t.Errorf("processes %v, %v", processes, err)
	}
	if state, err := s.State(t.Context()); err != nil || !state.Running {
		t.Errorf("state %+v, %v", state, err)
	}
	if err := s.Signal(t.Context(), "TERM"); err != nil {
		t.Fatal(err)
	}
	state := containers.State{Running: true}
	for ; state.Running; time.Sleep(20 * time.Millisecond) {
		if state, err = s.State(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if state.ExitCode != 5 {
		t.Errorf("exit code %d, want 5", state.ExitCode)
	}
	for range 2 {
		if err := s.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// All that remove a container return when it is gone, and none with an error.
func removedTogether(t *testing.T, c *Engine, spec containers.Container) {
	spec.Env = []function.Variable{{Name: "ROLE", Value: "wait"}}
	s, err := c.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			if err := s.Remove(t.Context()); err != nil {
				t.Error(err)
			}
			if state, err := s.State(t.Context()); err == nil {
				t.Errorf("it is there still: %+v", state)
			}
		})
	}
	together.Wait()
}

// containerImage builds an image of testdata/container.
func containerImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "container"), "./testdata/container")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	recipe := "FROM scratch\nCOPY container /container\nUSER 12:34\nENTRYPOINT [\"/container\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	const tag = "rtbuild-test/container:1"
	if out, err := exec.CommandContext(t.Context(), "docker", "build", "-q", "-t", tag, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rmi", "-f", tag).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return tag
}
