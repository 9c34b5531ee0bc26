package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestTimeoutReplacesOnlyItsWorker(t *testing.T) {
	for _, tt := range []struct {
		name, path, restarts string
		env                  []string
	}{
		{"one call at once, sleeping", "/sleep?s=60", "1", nil},
		{"one call at once, looping", "/busy", "1", nil},
		{"many calls, sleeping", "/sleep?s=60", "1", []string{"TEST_CONCURRENCY=8"}},
		{"many calls, looping", "/busy", "1", []string{"TEST_CONCURRENCY=8"}},
		{"many calls, cancelled", "/sleep?s=60", "0", []string{"TEST_CONCURRENCY=8", "TEST_CANCEL=1"}},
		{"many calls, not cancelled", "/busy", "1", []string{"TEST_CONCURRENCY=8", "TEST_CANCEL=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, append(tt.env, "FUNC_TIMEOUT=2.5")...).ready()
			var all sync.WaitGroup
			all.Add(1)
			go func() {
				defer all.Done()
				p.get(tt.path).want(t, http.StatusRequestTimeout)
			}()
			time.Sleep(time.Second) // the neighbours outlive the call that runs over time
			for range 3 {
				all.Add(1)
				go func() {
					defer all.Done()
					p.get("/sleep?s=1.9").want(t, 200)
				}()
			}
			all.Wait()
			p.get("/").want(t, 200)
			p.eventually("restarts", func() bool {
				return p.metric("function_worker_restarts_total") == tt.restarts &&
					p.metric(`function_workers{state="draining"}`) == "0"
			})
			if got := p.metric(`function_failures_total{method="GET"}`); got != "1" {
				t.Errorf("%s failures", got)
			}
		})
	}
}

// A worker of several calls that is replaced serves until the next can.
func TestCallsGoOnWhileAWorkerIsReplaced(t *testing.T) {
	p := start(t, "TEST_CONCURRENCY=4", "TEST_LOAD=slow", "FUNC_TIMEOUT=0.5").ready()
	before := p.get("/pid").want(t, 200)
	p.get("/sleep?s=30").want(t, http.StatusRequestTimeout)
	p.eventually("another worker", func() bool { return p.get("/pid").want(t, 200) != before })
	p.eventually("the end of the first", func() bool {
		pid, err := strconv.Atoi(before)
		return err == nil && syscall.Kill(pid, 0) != nil
	})
	if got := p.metric("function_worker_restarts_total"); got != "1" {
		t.Errorf("%s workers were replaced", got)
	}
}

func TestTimeoutCutsAStream(t *testing.T) {
	p := start(t, "FUNC_TIMEOUT=1").ready()
	if a := p.get("/sse"); a.err == nil || !strings.HasPrefix(a.body, "data: 0\n\n") {
		t.Errorf("error %v after %q", a.err, a.body)
	}
	p.get("/").want(t, 200)
}

func TestWorkersScaleAndAreReaped(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=6", "FUNC_WORKER_IDLE_TIMEOUT=1").ready()
	var all sync.WaitGroup
	for range 6 {
		all.Add(1)
		go func() {
			defer all.Done()
			p.get("/sleep?s=3").want(t, 200)
		}()
	}
	p.eventually("six busy workers", func() bool { return p.metric(`function_workers{state="busy"}`) == "6" })
	p.get("/healthz").want(t, 200)
	all.Wait()
	p.eventually("one idle worker", func() bool {
		return p.metric(`function_workers{state="idle"}`) == "1" && p.metric(`function_workers{state="draining"}`) == "0"
	})
	if got := p.metric("function_worker_restarts_total"); got != "0" {
		t.Errorf("%s restarts", got)
	}
}

// More workers than CPUs help calls that wait, but not calls that compute.
func TestOnlyUsefulWorkersAreStarted(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("the kernel does not tell who waits for a CPU")
	}
	workers := func(path string, calls int) int {
		p := start(t, "FUNC_MAX_WORKERS=32", "GOMAXPROCS=1").ready()
		var all sync.WaitGroup
		for range 32 {
			all.Add(1)
			go func() {
				defer all.Done()
				for range calls {
					p.get(path).want(t, 200)
				}
			}()
		}
		all.Wait()
		return strings.Count(p.err.String(), "worker ready")
	}
	burning, sleeping := workers("/burn", 10), workers("/sleep?s=3", 2)
	if burning > sleeping/2 {
		t.Errorf("%d workers that compute, %d that sleep", burning, sleeping)
	}
}

// Short calls must not wait for the end of long ones that take all CPUs.
func TestShortCallsPassBusyWorkers(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=32").ready()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 4 * runtime.NumCPU() {
		all.Add(1)
		go func() {
			defer all.Done()
			p.doContext(ctx, "GET", "/busy", nil)
		}()
	}
	p.get("/").want(t, 200)
	cancel()
	all.Wait()
}

func TestQueueIsBounded(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=1", "FUNC_QUEUE=1", "FUNC_QUEUE_TIMEOUT=2").ready()
	results := make(chan answer, 3)
	for _, busy := range []string{`function_workers{state="busy"}`, "function_queue_length"} {
		go func() { results <- p.get("/sleep?s=4") }()
		p.eventually(busy, func() bool { return p.metric(busy) == "1" })
	}
	full := p.get("/")
	full.want(t, http.StatusServiceUnavailable)
	if full.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	(<-results).want(t, http.StatusServiceUnavailable) // waited too long
	(<-results).want(t, 200)
	if got := p.metric(`function_refused_total{status="503"}`); got != "2" {
		t.Errorf("%s refused", got)
	}
}

func TestMisbehavingFunctions(t *testing.T) {
	for _, tt := range []struct {
		path   string
		status int
	}{
		{"/exit", 500}, {"/segv", 500}, {"/half", 500}, {"/flood", 200}, {"/fork", 200}, {"/unlink", 200},
		{"/garbage", 500}, {"/endless", 500}, {"/throw", 500},
	} {
		for _, concurrency := range []string{"", "8"} {
			t.Run(tt.path[1:]+concurrency, func(t *testing.T) {
				t.Parallel()
				p := start(t, "TEST_CONCURRENCY="+concurrency).ready()
				for range 2 {
					a := p.get(tt.path)
					if (a.err == nil) != (tt.status != 0) || a.err == nil && a.status != tt.status {
						t.Fatalf("status %d, error %v, want %d", a.status, a.err, tt.status)
					}
					p.eventually("recovery", func() bool { return p.status("/") == 200 })
				}
				p.ready()
				crashed := tt.path == "/exit" || tt.path == "/segv" || tt.path == "/half"
				// More than two where the client's HTTP library tries again.
				if got := p.metric("function_worker_restarts_total"); crashed && (got == "0" || got == "1") {
					t.Errorf("%s restarts", got)
				}
				p.eventually("no zombies", func() bool { return len(zombies(t, p.cmd.Process.Pid)) == 0 })
				p.signal(syscall.SIGTERM)
				if err := p.wait(); err != nil {
					t.Errorf("the proxy ended: %v", err)
				}
			})
		}
	}
}

// zombies lists dead children that nobody waited for.
func zombies(t *testing.T, parent int) (found []string) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // has ended
		}
		rest := string(data[strings.LastIndexByte(string(data), ')')+1:])
		if fields := strings.Fields(rest); fields[0] == "Z" && fields[1] == fmt.Sprint(parent) {
			found = append(found, string(data))
		}
	}
	return found
}

func TestExceptionsAreShownOnlyForDebugging(t *testing.T) {
	for _, debug := range []string{"", "1"} {
		p := start(t, "FUNC_DEBUG="+debug).ready()
		body := p.get("/throw").want(t, 500)
		if strings.Contains(body, "ValueError: wrong") != (debug != "") {
			t.Errorf("debug %q: body %q", debug, body)
		}
		p.eventually("trace in the log", func() bool {
			return strings.Contains(p.err.String(), "Traceback:\n  line 1\nValueError: wrong\n")
		})
	}
}

func TestCallsWaitForASlowStart(t *testing.T) {
	p := start(t, "TEST_LOAD=slow")
	p.eventually("call", func() bool { return p.status("/") == 200 })
	p = start(t, "TEST_LOAD=fail-once", "TEST_MARKER="+filepath.Join(t.TempDir(), "marker")).ready()
	p.get("/").want(t, 200)
}

// A proxy that is killed takes its workers along.
func TestWorkersDieWithTheProxy(t *testing.T) {
	p := start(t).ready()
	worker := p.get("/pid").want(t, 200)
	p.signal(syscall.SIGKILL)
	p.eventually("end of the worker", func() bool {
		_, err := os.Stat("/proc/" + worker)
		return os.IsNotExist(err)
	})
}
