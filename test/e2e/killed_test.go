//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// kill -9 in the middle of a build: the next run completes, and nothing is in
// its way. A second run in the same tree says who holds it.
func TestKilled(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			root := small(t)
			dockerfile := filepath.Join(root, "stable/web/Dockerfile.2")
			good := harness.Read(t, dockerfile)
			harness.Write(t, dockerfile, good+"RUN [\"/bin/sh\", \"-c\", \"echo now sleeping; sleep 600\"]\n")
			before := sources(t, root)
			args := []string{"all", "--push", "--builder", builder, "--registry", destinationOf(host, builder)}
			cmd, stderr := start(t, root, args...)
			waitFor(t, stderr, "now sleeping\n")

			r := harness.Want(t, 1, root, args...)
			if !strings.Contains(r.Stderr, strconv.Itoa(cmd.Process.Pid)) {
				t.Errorf("the second run does not name the process %d:\n%s", cmd.Process.Pid, r.Stderr)
			}
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			unchanged(t, root, before)
			harness.Write(t, dockerfile, good)
			harness.Want(t, 0, root, args...)
		})
	}
}

// start runs a command that builds in the background; it prints what steps print.
func start(t *testing.T, root string, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := harness.Command(root, append(args, "--progress", "plain")...)
	cmd.Stderr = writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		reader.Close()
	})
	return cmd, reader
}

// waitFor reads until a text was printed, and then goes on reading so that
// the command is not held up.
func waitFor(t *testing.T, stderr *os.File, text string) {
	t.Helper()
	var seen strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(seen.String(), text); {
		n, err := stderr.Read(buffer)
		seen.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%q was never printed: %v\n%s", text, err, harness.Tail(seen.String()))
		}
	}
	go func() {
		for buffer := make([]byte, 4096); ; {
			if _, err := stderr.Read(buffer); err != nil {
				return
			}
		}
	}()
}
