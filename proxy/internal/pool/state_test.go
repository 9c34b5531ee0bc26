package pool

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// single are the rules of workers that take one call at once, several those of
// workers that take two.
func single() rules {
	return rules{Sockets: true, Asks: true, Concurrency: 1, MinWorkers: 1, MaxSingle: 4, MaxConcurrent: 2, CPUs: 1,
		Queue: 2, QueueTimeout: time.Second, WorkerIdle: time.Minute, KillGrace: 2 * time.Second}
}

// alone are the rules of a single worker of one call.
func alone() rules {
	r := single()
	r.MaxSingle = 1
	return r
}

func several() rules {
	r := single()
	r.Concurrency = 2
	return r
}

// classic are the rules of a server that has a port.
func classic() rules {
	r := several()
	r.Sockets, r.MaxSingle, r.MaxConcurrent = false, 1, 1
	return r
}

// script is what happens to a machine that has just started, in lines of
// "event | what it says | phases of the workers". What is left out is nothing,
// or not looked at.
type script struct {
	name  string
	rules rules
	lines string
}

func TestScripts(t *testing.T) {
	for _, list := range [][]script{callScripts(), workerScripts(), crashScripts(), scaleScripts()} {
		for _, sc := range list {
			t.Run(sc.name, func(t *testing.T) {
				w := newWorld(t, sc.rules)
				for line := range strings.Lines(sc.lines) {
					w.play(strings.TrimSpace(line))
				}
			})
		}
	}
}

// play makes a line of a script happen.
func (w *world) play(line string) {
	if line == "" {
		return
	}
	parts := append(strings.Split(line, "|"), "", "")
	said := strings.Join(w.perform(strings.Fields(parts[0])), ", ")
	if want := strings.TrimSpace(parts[1]); said != want {
		w.fail("%q says %q, want %q", line, said, want)
	}
	if want := strings.TrimSpace(parts[2]); want != "" && w.phasesOf() != want {
		w.fail("after %q the workers are %s, want %s", line, w.phasesOf(), want)
	}
}

func (w *world) perform(words []string) []string {
	words = append(words, "", "")
	verb, name, how := words[0], words[1], words[2]
	ends := map[string]eventKind{"release": released, "return": returned, "abandon": abandoned, "break": broken,
		"unreachable": unreachable, "timeout": overTime}
	if kind, ok := ends[verb]; ok {
		return w.tell(event{kind: kind, call: &w.named(name).call, deadline: w.now.Add(time.Minute)})
	}
	switch verb {
	case "take", "again":
		return w.tell(event{kind: taken, call: &w.newClient(name, verb == "again").call})
	case "leave":
		w.named(name).left = true
		return w.tell(event{kind: gaveUp, call: &w.named(name).call})
	case "ask":
		kind := freed
		if how == "late" {
			kind = overdue
		}
		return w.tell(event{kind: kind, call: &w.named(name).call})
	case "cancel":
		kind := cancelled
		if how == "no" {
			kind = notCancelled
		}
		return w.tell(event{kind: kind, call: &w.named(name).call})
	case "pass":
		d, err := time.ParseDuration(name)
		if err != nil {
			w.fail("%v", err)
		}
		return w.pass(d)
	case "close":
		return w.tell(event{kind: closed})
	default:
		return w.performWorker(verb, name, how)
	}
}

func (w *world) performWorker(verb, name, how string) []string {
	var n int
	if _, err := fmt.Sscan(name, &n); err != nil {
		w.fail("%q %q: %v", verb, name, err)
	}
	if verb == "measured" {
		return w.tell(event{kind: measured, useful: n})
	}
	b := w.workers[n-1]
	switch verb {
	case "load":
		return w.tell(event{kind: loaded, worker: b.w, capacity: w.s.Concurrency, cancels: how == "cancels"})
	case "unfit":
		return w.tell(event{kind: unfit, worker: b.w, reason: "not ready"})
	case "look":
		b.lookIsOpen = false
		return w.tell(event{kind: answered, worker: b.w, agree: how == "yes"})
	case "hear":
		return w.tell(event{kind: heard, worker: b.w, agree: how == "yes"})
	case "die":
		return w.exit(b)
	case "bury":
		return w.bury(b)
	}
	w.fail("no such verb: %s", verb)
	return nil
}

// named finds the client of a name.
func (w *world) named(name string) *client {
	found := w.find(func(c *client) bool { return c.name == name })
	if len(found) != 1 {
		w.fail("%d clients are named %s", len(found), name)
	}
	return found[0]
}

func TestRefusalsSayWhy(t *testing.T) {
	w := newWorld(t, single())
	for _, name := range []string{"a", "b", "c"} {
		w.perform([]string{"take", name})
	}
	w.exit(w.workers[0])
	w.bury(w.workers[0])
	w.perform([]string{"take", "d"})
	w.perform([]string{"close"})
	w.perform([]string{"take", "e"})
	const loop = "crash-looping: the worker ended 1 times without a good call; the last time: exit status 1\na trace"
	for name, want := range map[string]string{"a": loop, "b": loop, "c": ErrQueueFull.Error(), "d": loop, "e": ErrClosed.Error()} {
		if got := w.named(name).err; got == nil || got.Error() != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	if unavailable := (*UnavailableError)(nil); !errors.As(w.named("a").err, &unavailable) {
		t.Errorf("%T", w.named("a").err)
	}
}
