//go:build e2e

package runtime

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

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
	harness.Write(p.t, path, content)
	return path
}

// command is rtbuild function with these arguments, on this repository.
func (p place) command(args ...string) *exec.Cmd {
	args = append([]string{"function"}, args...)
	return harness.Command("../..", append(args, "--namespace", p.namespace)...)
}

func (p place) run(args ...string) harness.Result {
	p.t.Helper()
	return harness.Finish(p.t, p.command(args...))
}

// must wants a command to succeed, and returns its stdout.
func (p place) must(args ...string) string {
	p.t.Helper()
	e := p.run(args...)
	if e.Code != 0 {
		p.t.Fatalf("rtbuild function %s: exit code %d\n%s", strings.Join(args, " "), e.Code, e.Stderr)
	}
	return e.Stdout
}

// fails wants a command to fail with this code and say all of this.
func (p place) fails(code int, said []string, args ...string) {
	p.t.Helper()
	e := p.run(args...)
	if e.Code != code {
		p.t.Errorf("rtbuild function %s: exit code %d, want %d\n%s", strings.Join(args, " "), e.Code, code, e.Stderr)
	}
	for _, text := range said {
		if !strings.Contains(e.Stderr, text) {
			p.t.Errorf("rtbuild function %s does not say %q, but\n%s", strings.Join(args, " "), text, e.Stderr)
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
