//go:build e2e

package runtime

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// TestFunctionFailures holds that a deployment that fails says what the tool said
// that failed, exits with 1, and leaves nothing.
func TestFunctionFailures(t *testing.T) {
	missing := func(p place, name, content string) []string {
		return []string{"--from-file", filepath.Join("../..", name), "--dependencies", p.write("dependencies", content)}
	}
	for name, c := range map[string]struct {
		runtime, handler string
		flags            func(p place) []string
		said             []string
	}{
		"pip": {"python3.13", "helloget.handler", func(p place) []string {
			return missing(p, "stable/python/examples/helloget.py", "rtbuild-has-no-such-package==1\n")
		}, []string{"No matching distribution found for rtbuild-has-no-such-package==1", "the installation phase ended with exit code 1"}},
		"npm": {"nodejs24", "helloget.handler", func(p place) []string {
			return missing(p, "stable/nodejs/examples/helloget.js", `{"dependencies": {"marked": "0.0.999"}}`)
		}, []string{"No matching version found for marked@0.0.999", "the installation phase ended with exit code 1"}},
		"go modules": {"go1.27", "hellowithdeps.Handler", func(p place) []string {
			return missing(p, "stable/go/examples/hellowithdeps.go", "module function\n\ngo 1.24\n\nrequire github.com/google/uuid v1.999.0\n")
		}, []string{"github.com/google/uuid@v1.999.0: ", "the installation phase ended with exit code 1"}},
		"go": {"go1.27", "broken.Handler", func(place) []string {
			return []string{"--from-file", "../../stable/go/contract/broken.go"}
		}, []string{"broken.go:6:", "syntax error", "the compilation phase ended with exit code"}},
		"java": {"java25", "Broken.handler", func(place) []string {
			return []string{"--from-file", "../../stable/java/contract/Broken.java"}
		}, []string{"Broken.java:6: error: illegal start of expression", "the compilation phase ended with exit code"}},
		"loading": {"python3.13", "f.handler", func(p place) []string {
			return []string{"--from-file", p.write("f.py", "raise RuntimeError('no luck today')\n")}
		}, []string{"no luck today", "the function cannot be loaded"}},
		"no such function": {"nodejs24", "helloget.other", func(place) []string {
			return []string{"--from-file", "../../stable/nodejs/examples/helloget.js"}
		}, []string{`exports no function "other"`, "the function cannot be loaded"}},
		"a secret without files": {"python3.13", "helloget.handler", func(place) []string {
			return []string{"--from-file", "../../stable/python/examples/helloget.py", "--secrets", "token"}
		}, []string{"secret token: there is no store of secrets here: say where its files are, as in --secrets token=FOLDER"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.fails(1, c.said, append([]string{"deploy", "failing", "--runtime", c.runtime, "--handler", c.handler}, c.flags(p)...)...)
			p.empty()
		})
	}
}

// TestFunctionPortInUse wants a port: one that another has is told, and what was
// there goes on.
func TestFunctionPortInUse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	said := []string{"port " + port + " of this machine is in use, by another container or program: choose another one, or none"}
	source := p.write("f.py", code("here"))
	deploy := []string{"deploy", "f", "--runtime", "python3.13", "--handler", "f.handler", "--from-file", source}
	p.fails(1, said, append(deploy, "--servicePort", port)...)
	p.empty()
	was := p.deploy("f", source)
	p.fails(1, said, append(deploy, "--port", port)...)
	p.answers("f", "here")
	taken.Close()
	if now := p.deploy("f", source, "--servicePort", port); now != "http://127.0.0.1:"+port || now == was {
		t.Errorf("it was at %s and is at %s", was, now)
	}
	p.answers("f", "here")
}

// TestFunctionInterrupted interrupts a deployment at many of its moments, and then
// an update: nothing is left, and the function that was there answers.
func TestFunctionInterrupted(t *testing.T) {
	p := newPlace(t)
	source := p.write("f.py", code("here"))
	dependencies := p.write("requirements.txt", "Markdown==3.7\n")
	began := time.Now()
	p.deploy("f", source, "--dependencies", dependencies)
	whole := time.Since(began)
	p.must("delete", "f")
	const moments = 6
	interrupted := 0
	for i := range moments {
		cmd := p.command("deploy", "f", "--runtime", "python3.13", "--handler", "f.handler", "--from-file", source, "--dependencies", dependencies)
		switch e := interruptedAfter(t, cmd, whole*time.Duration(i+1)/moments); e.Code {
		case 130:
			interrupted++
			p.empty()
		case 0: // it was faster
			p.must("delete", "f")
		default:
			t.Errorf("exit code %d\n%s", e.Code, e.Stderr)
		}
	}
	if interrupted < moments/2 {
		t.Errorf("only %d deployments were interrupted", interrupted)
	}
	p.deploy("f", source, "--dependencies", dependencies)
	before := p.left()
	for i := range moments {
		e := interruptedAfter(t, p.command("update", "f", "--env", "A=1"), whole*time.Duration(i+1)/moments)
		if e.Code != 130 && e.Code != 0 {
			t.Errorf("exit code %d\n%s", e.Code, e.Stderr)
		}
		p.answers("f", "here")
		if now := p.left(); lines(now) != lines(before) {
			t.Fatalf("there was\n%s\nand is\n%s", before, now)
		}
	}
}

// TestFunctionKilled kills deployments at many of their moments: what they leave is
// gone when the function is deleted, be it there or not.
func TestFunctionKilled(t *testing.T) {
	p := newPlace(t)
	source := p.write("f.py", code("here"))
	began := time.Now()
	p.deploy("f", source)
	whole := time.Since(began)
	p.must("delete", "f")
	const moments = 10
	for i := range moments {
		cmd := p.command("deploy", "f", "--runtime", "python3.13", "--handler", "f.handler", "--from-file", source)
		signalledAfter(t, cmd, syscall.SIGKILL, whole*time.Duration(i+1)/(moments+1))
		// The engine may be at the last request still.
		for deadline := time.Now().Add(time.Minute); p.left() != ""; time.Sleep(100 * time.Millisecond) {
			e := p.run("delete", "f")
			if time.Now().After(deadline) {
				t.Fatalf("left are\n%s\n%s", p.left(), e.Stderr)
			}
		}
	}
}

// interruptedAfter sends a command SIGINT, unless it ends before.
func interruptedAfter(t *testing.T, cmd *exec.Cmd, after time.Duration) harness.Result {
	t.Helper()
	return signalledAfter(t, cmd, os.Interrupt, after)
}

func signalledAfter(t *testing.T, cmd *exec.Cmd, signal os.Signal, after time.Duration) harness.Result {
	t.Helper()
	timer := time.AfterFunc(after, func() {
		if cmd.Process != nil {
			_ = cmd.Process.Signal(signal)
		}
	})
	defer timer.Stop()
	return harness.Finish(t, cmd)
}
