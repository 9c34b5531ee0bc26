//go:build e2e

package runtime

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is the environment variable that names the rtbuild under test.
const program = "RTBUILD_BIN"

// TestMain builds the rtbuild under test.
func TestMain(m *testing.M) { os.Exit(withProgram(m.Run)) }

func withProgram(run func() int) int {
	folder, err := os.MkdirTemp("", "rtbuild")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "rtbuild")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/rtbuild").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building rtbuild: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(program, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// A place is a namespace of functions that a test has to itself. When the test
// ends, what is in it is deleted, and then nothing may be left.
type place struct {
	t         *testing.T
	namespace string
	// folder has the test's sources.
	folder string
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t: t, namespace: "t" + strings.ToLower(rand.Text()[:10]), folder: t.TempDir()}
	t.Cleanup(func() {
		var names []string
		for line := range strings.Lines(p.must("list")) {
			names = append(names, strings.Fields(line)[0])
		}
		if len(names) > 1 {
			p.must(append([]string{"delete"}, names[1:]...)...)
		}
		p.empty()
	})
	return p
}

// empty wants the engine to have nothing of the namespace.
func (p place) empty() {
	p.t.Helper()
	if left := p.left(); left != "" {
		p.t.Errorf("left are\n%s", left)
	}
}

// left is what the engine has of the namespace: containers, volumes, a network.
func (p place) left() string {
	p.t.Helper()
	mine := "label=dev.rtbuild.namespace=" + p.namespace
	return strings.TrimSpace(dockerCommand(p.t, "ps", "--all", "--filter", mine, "--format", "container {{.Names}} {{.Status}}") + "\n" +
		dockerCommand(p.t, "volume", "ls", "--filter", mine, "--format", "volume {{.Name}}") + "\n" +
		dockerCommand(p.t, "network", "ls", "--filter", mine, "--format", "network {{.Name}}"))
}

// write writes a file into the test's folder.
func (p place) write(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.folder, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// An ended is a command that has ended.
type ended struct {
	stdout, stderr string
	code           int
}

// command is rtbuild function with these arguments, on this repository.
func (p place) command(args ...string) *exec.Cmd {
	args = append([]string{"-C", "../..", "function"}, args...)
	return exec.Command(os.Getenv(program), append(args, "--namespace", p.namespace)...)
}

func (p place) run(args ...string) ended {
	p.t.Helper()
	return finish(p.t, p.command(args...))
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must wants a command to succeed, and returns its stdout.
func (p place) must(args ...string) string {
	p.t.Helper()
	e := p.run(args...)
	if e.code != 0 {
		p.t.Fatalf("rtbuild function %s: exit code %d\n%s", strings.Join(args, " "), e.code, e.stderr)
	}
	return e.stdout
}

// fails wants a command to fail with this code and say all of this.
func (p place) fails(code int, said []string, args ...string) {
	p.t.Helper()
	e := p.run(args...)
	if e.code != code {
		p.t.Errorf("rtbuild function %s: exit code %d, want %d\n%s", strings.Join(args, " "), e.code, code, e.stderr)
	}
	for _, text := range said {
		if !strings.Contains(e.stderr, text) {
			p.t.Errorf("rtbuild function %s does not say %q, but\n%s", strings.Join(args, " "), text, e.stderr)
		}
	}
}

// deploy deploys a source with the function handler of a Python file, and returns
// its address.
func (p place) deploy(name, source string, flags ...string) string {
	p.t.Helper()
	out := p.must(append([]string{"deploy", name, "--runtime", "python3.13", "--handler", "f.handler", "--from-file", source}, flags...)...)
	fields := strings.Fields(out)
	if len(fields) != 2 || fields[0] != name {
		p.t.Fatalf("deploy printed %q", out)
	}
	return fields[1]
}

// answers wants a call to print this.
func (p place) answers(name, want string) {
	p.t.Helper()
	if got := p.must("call", name); got != want+"\n" {
		p.t.Errorf("%s answers %q, want %q", name, got, want)
	}
}

// code is a Python module whose function answers a word.
func code(word string) string {
	return fmt.Sprintf("def handler(event, context):\n    return %q\n", word)
}
