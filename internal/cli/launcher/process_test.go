//go:build unix

package launcher_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rtbuild/rtbuild/internal/testfile"
)

// TestFullDisk has the result go where it cannot.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	p := compiled(t)
	tree := testfile.Tree(t, with(pinned(), "runtimes.jsonnet", runtimeManifest("'a:1'")))
	for _, args := range []string{"configmap", "version"} {
		said := func(program string) string {
			cmd := exec.Command(program, args)
			var stderr bytes.Buffer
			cmd.Dir, cmd.Stdout, cmd.Stderr = tree, full, &stderr
			if code := finish(t, cmd); code != 1 {
				t.Errorf("%s %s: exit code %d, want 1", program, args, code)
			}
			return stderr.String()
		}
		if got, want := said(p.alone), said(p.whole); got != want || !strings.Contains(got, "no space left") {
			t.Errorf("%s says %q, want %q", args, got, want)
		}
	}
}

// TestInterrupted interrupts an evaluation that waits for a file.
func TestInterrupted(t *testing.T) {
	p := compiled(t)
	for _, program := range []string{p.whole, p.launcher, p.alone} {
		tree := testfile.Tree(t, with(pinned(), "runtimes.jsonnet", "import 'pipe.libsonnet'"))
		pipe := filepath.Join(tree, "pipe.libsonnet")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "configmap")
		var stdout, stderr bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = tree, &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It opens once somebody reads.
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the exit code tells
		writer.Close()
		if code := cmd.ProcessState.ExitCode(); code != 130 || stdout.String() != "" || stderr.String() != "rtbuild: interrupted\n" {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", program, code, stdout.String(), stderr.String())
		}
	}
}
