package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A worker that dies takes the calls in it along. Those that may run twice run
// once more on another worker, and the others fail.
func TestCallsBesideOneThatEndsTheWorker(t *testing.T) {
	for _, c := range []struct {
		name, setting, method string
		header                []string
		status                int
	}{
		{"GET", "", "GET", nil, 200}, {"PUT", "", "PUT", nil, 200}, {"DELETE", "", "DELETE", nil, 200}, {"HEAD", "", "HEAD", nil, 200},
		{"POST", "", "POST", nil, 500}, {"PATCH", "", "PATCH", nil, 500},
		{"POST with a key", "", "POST", []string{"Idempotency-Key", "1"}, 200},
		{"POST, all", "all", "POST", nil, 200}, {"GET, off", "off", "GET", nil, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, loops string) {
				p := start(t, loops, "TEST_CONCURRENCY=64", "FUNC_MAX_WORKERS=1", "FUNC_RETRY="+c.setting).ready()
				pid, err := strconv.Atoi(p.get("/pid").want(t, 200))
				if err != nil {
					t.Fatal(err)
				}
				var all sync.WaitGroup
				for i := range 8 {
					all.Add(1)
					go func() {
						defer all.Done()
						sent := strings.Repeat(fmt.Sprint(i), 100)
						if c.method == "GET" || c.method == "HEAD" {
							sent = ""
						}
						a := p.do(c.method, "/late", strings.NewReader(sent), c.header...)
						a.want(t, c.status)
						if c.status == 200 && c.method != "HEAD" && a.body != "late "+sent {
							t.Errorf("body %q", a.body)
						}
					}()
				}
				p.eventually("calls", func() bool {
					data, err := os.ReadFile(p.marks)
					return err == nil && len(data) >= 8
				})
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				all.Wait()
			})
		})
	}
}

// Which call ends a worker each time is not tried for ever, nor is what has
// begun to be answered.
func TestCallsAreTriedAgainOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_RAW=8").ready()
		p.eventually("the first worker", func() bool { return strings.Contains(p.err.String(), "worker ready") })
		for _, c := range []struct {
			steps []string
			ends  int // of workers
		}{
			{[]string{"@exit"}, 2},
			{[]string{"HTTP/1.1 2", "@exit"}, 1},
			{[]string{"HTTP/1.1 103 Early Hints\r\n\r\n", "@exit"}, 1},
			{[]string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "@exit"}, 1},
		} {
			before := strings.Count(p.err.String(), "worker ready")
			p.get(script(c.steps...)).want(t, http.StatusInternalServerError)
			p.eventually("other workers", func() bool { return strings.Count(p.err.String(), "worker ready") >= before+c.ends })
			p.ready()
			if got := strings.Count(p.err.String(), "worker ready") - before; got != c.ends {
				t.Errorf("%q: %d workers ended, want %d", c.steps, got, c.ends)
			}
		}
	})
}

// A call whose worker takes no connections has had its turn, and gets the next
// worker before all that wait behind it.
func TestCallsThatReachNoWorkerKeepTheirPlace(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "FUNC_MAX_WORKERS=1", "FUNC_TIMEOUT=300").ready()
		var all sync.WaitGroup
		call := func(path string) {
			all.Add(1)
			go func() {
				defer all.Done()
				p.get(path).want(t, http.StatusOK)
			}()
		}
		call("/deaf")
		p.eventually("a call", func() bool { return p.metric(`function_workers{state="busy"}`) == "1" })
		for i := range 5 {
			call(fmt.Sprint("/mark?", i))
			p.eventually("a queue", func() bool { return p.metric("function_queue_length") == fmt.Sprint(i+1) })
		}
		if err := os.WriteFile(p.marks, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if marks, err := os.ReadFile(p.marks); string(marks) != "01234" {
			t.Errorf("the calls ran in the order %s, %v", marks, err)
		}
	})
}
