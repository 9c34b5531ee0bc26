// Package harness is what tests on real engines and registries share: the rtbuild
// under test, registries, and what these have, asked without any of rtbuild's code.
package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binaryVariable names the rtbuild under test.
const binaryVariable = "RTBUILD_BIN"

// Main compiles rtbuild, runs tests that use it, and gives their exit code. Where
// RTBUILD_BIN names a binary, that one is tested.
func Main(m *testing.M) int {
	if os.Getenv(binaryVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rtbuild-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "rtbuild")
	build := exec.Command("go", "build", "-o", binary, "github.com/rtbuild/rtbuild/cmd/rtbuild")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building rtbuild: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binaryVariable, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Builders are the engines to test with, as --builder takes them:
// RTBUILD_E2E_BUILDERS, separated by commas.
func Builders() []string {
	list := os.Getenv("RTBUILD_E2E_BUILDERS")
	if list == "" {
		list = "docker,embedded"
	}
	return strings.Split(list, ",")
}

// PathWithBinary is PATH with the rtbuild under test before all others.
func PathWithBinary() string {
	return filepath.Dir(os.Getenv(binaryVariable)) + ":" + os.Getenv("PATH")
}

// Command is rtbuild in a tree, not yet started.
func Command(root string, args ...string) *exec.Cmd {
	return exec.Command(os.Getenv(binaryVariable), append([]string{"-C", root}, args...)...)
}

// A Result is what a command printed and its exit code.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs rtbuild in a tree.
func Run(tb testing.TB, root string, args ...string) Result {
	tb.Helper()
	r := Finish(tb, Command(root, args...))
	tb.Logf("rtbuild %s: exit %d", strings.Join(args, " "), r.Code)
	return r
}

// Finish runs a command to its end.
func Finish(tb testing.TB, cmd *exec.Cmd) Result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("%s: %v", cmd, err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// Want runs rtbuild in a tree and wants an exit code.
func Want(tb testing.TB, code int, root string, args ...string) Result {
	tb.Helper()
	r := Run(tb, root, args...)
	if r.Code != code {
		tb.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.Code, code, r.Stdout, Tail(r.Stderr))
	}
	return r
}

// Tail is the end of a long text.
func Tail(text string) string {
	return text[max(0, len(text)-4000):]
}
