//go:build e2e

package runtime

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestFunctionAtOnce deploys one function from several sources at once, and then
// others beside some that fail: each is deployed once, and nothing gets in the way
// of another.
func TestFunctionAtOnce(t *testing.T) {
	p := newPlace(t)
	var all sync.WaitGroup
	atOnce := func(want int, args ...string) {
		all.Go(func() {
			if e := p.run(args...); e.Code != want {
				t.Errorf("rtbuild function %s: exit code %d, want %d\n%s", strings.Join(args, " "), e.Code, want, e.Stderr)
			}
		})
	}
	deploy := func(name, source string) []string {
		return []string{"deploy", name, "--runtime", "python3.13", "--handler", "f.handler", "--from-file", source}
	}
	for i := range 3 {
		atOnce(0, deploy("same", p.write(fmt.Sprint("same", i, ".py"), code("same")))...)
	}
	all.Wait()
	p.answers("same", "same")
	// A front and a server, their volumes and that of the source, and a network.
	if left := p.left(); lines(left) != 6 {
		t.Errorf("there is more than one function:\n%s", left)
	}
	broken := p.write("broken.py", "def handler(:\n")
	atOnce(0, "delete", "same")
	for i := range 3 {
		name := fmt.Sprint("f", i)
		atOnce(0, deploy(name, p.write(name+".py", code(name)))...)
		atOnce(1, deploy(fmt.Sprint("broken", i), broken)...)
	}
	all.Wait()
	for i := range 3 {
		p.answers(fmt.Sprint("f", i), fmt.Sprint("f", i))
	}
	for i := range 3 {
		atOnce(0, "delete", fmt.Sprint("f", i))
	}
	all.Wait()
	p.empty()
}

// lines is how many lines a text has.
func lines(text string) int { return len(strings.Split(strings.TrimSpace(text), "\n")) }

// TestFunctionUpdatesAtOnce changes settings of one function at once: each stays.
func TestFunctionUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.deploy("set", p.write("f.py", code("set")))
	var all sync.WaitGroup
	for _, change := range [][]string{{"--timeout", "7"}, {"--memory", "96Mi"}, {"--env", "A=1"}} {
		all.Go(func() {
			if e := p.run(append([]string{"update", "set"}, change...)...); e.Code != 0 {
				t.Errorf("%v: exit code %d\n%s", change, e.Code, e.Stderr)
			}
		})
	}
	all.Wait()
	var status struct {
		Timeout int
		Memory  string
		Env     []struct{ Name, Value string }
	}
	if err := json.Unmarshal([]byte(p.must("describe", "set", "--out", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Timeout != 7 || status.Memory != "96Mi" || len(status.Env) != 1 {
		t.Errorf("a change is lost: %+v", status)
	}
	p.answers("set", "set")
}
