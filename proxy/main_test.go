package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestCallsPassAsTheyAre(t *testing.T) {
	p := start(t).ready()
	if got := p.get("/").want(t, 200); got != "hello" {
		t.Errorf("body %q", got)
	}
	for _, size := range []int{0, 1, 1000, 32 << 10, 32<<10 + 1, 10 << 20} {
		for _, chunked := range []bool{false, true} {
			sent := strings.Repeat("é\x00", size/3+1)[:size]
			var body io.Reader = strings.NewReader(sent)
			if chunked {
				body = io.MultiReader(body) // hides the length
			}
			if got := p.do("POST", "/echo", body, "Content-Type", "application/octet-stream").want(t, 200); got != sent {
				t.Errorf("%d bytes (chunked: %t) came back as %d", size, chunked, len(got))
			}
		}
	}
	var seen struct {
		Method, URI, Host string
		Header            http.Header
	}
	a := p.do("PATCH", "/request?a=%20b", nil, "Traceparent", "00-1", "X-Forwarded-For", "10.0.0.1", "Forwarded", "for=x",
		"Connection", "X-Mine", "X-Mine", "1", "Te", "trailers", "Upgrade", "websocket", "X-Func-Call-Id", "7")
	if err := json.Unmarshal([]byte(a.want(t, 200)), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Method != "PATCH" || seen.URI != "/request?a=%20b" || "http://"+seen.Host != p.url {
		t.Errorf("the worker saw %+v", seen)
	}
	for name, want := range map[string]string{"Traceparent": "00-1", "X-Forwarded-For": "10.0.0.1", "Forwarded": "for=x",
		"X-Mine": "", "Te": "", "Upgrade": "", "X-Func-Call-Id": "", "Connection": ""} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("the worker saw %s: %q, want %q", name, got, want)
		}
	}
	a = p.get("/hop")
	a.want(t, http.StatusTeapot)
	if h := a.header; h.Get("X-Hop")+h.Get("Keep-Alive")+h.Get("X-Func-Secret")+h.Get("Content-Type") != "" ||
		h.Get("Set-Cookie") != "a=b" {
		t.Errorf("the client saw %v", h)
	}
	p.get("/_health").want(t, 404)
	p.do("POST", "/%5Fcancel", nil).want(t, 404)
	p.do("HEAD", "/", nil).want(t, 200)
}

func TestTrailersPassBothWays(t *testing.T) {
	p := start(t).ready()
	req, err := http.NewRequest("POST", p.url+"/trailer", io.MultiReader(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-In": {"42"}}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if got := resp.Trailer.Get("X-Sum"); got != "42" {
		t.Errorf("trailer %q in %v", got, resp.Trailer)
	}
}

// Each part must arrive before the next is sent.
func TestStreams(t *testing.T) {
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	for name, protocols := range map[string]*http.Protocols{"HTTP/1.1": nil, "HTTP/2.0": h2c} {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			p := start(t).ready()
			client := &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: patience}
			defer client.CloseIdleConnections()
			body, feed := io.Pipe()
			req, err := http.NewRequest("POST", p.url+"/stream", body)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(feed, "part 0\n") }()
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.Proto != name {
				t.Errorf("protocol %s", resp.Proto)
			}
			in := bufio.NewReader(resp.Body)
			for i := range 5 {
				if line, err := in.ReadString('\n'); line != fmt.Sprintf("part %d\n", i) {
					t.Fatalf("got %q, %v", line, err)
				}
				if _, err := fmt.Fprintf(feed, "part %d\n", i+1); err != nil {
					t.Fatal(err)
				}
			}
			feed.Close()
			if rest, err := io.ReadAll(in); string(rest) != "part 5\n" || err != nil {
				t.Errorf("the end is %q, %v", rest, err)
			}
		})
	}
}

func TestServerSentEventsEndWithTheClient(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=1").ready()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", p.url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 3 {
		if line, err := in.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("got %q, %v", line, err)
		}
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	p.get("/").want(t, 200) // by the same, only worker
	if got := p.metric("function_worker_restarts_total"); got != "0" {
		t.Errorf("%s restarts", got)
	}
}

func TestMaxBody(t *testing.T) {
	p := start(t, "FUNC_MAX_BODY=100k").ready()
	large := strings.Repeat("x", 100_001)
	p.do("POST", "/echo", strings.NewReader(large)).want(t, http.StatusRequestEntityTooLarge)
	p.do("POST", "/trailer", io.MultiReader(strings.NewReader(large))).want(t, http.StatusRequestEntityTooLarge)
	p.do("POST", "/echo", io.MultiReader(strings.NewReader(large[1:]))).want(t, 200)
	if got := p.do("POST", "/early", strings.NewReader(large[1:])).want(t, 403); got != "no" {
		t.Errorf("body %q", got)
	}
	p.get("/").want(t, 200)
}

func TestEvents(t *testing.T) {
	p := start(t).ready()
	binary := []string{"Ce-Specversion", "1.0", "Ce-Id", "7", "Ce-Type", "t", "Ce-Source", "/s", "Ce-Time", "2026-01-01T00:00:00Z"}
	event := `{"specversion":"1.0","id":"7","type":"t","source":"/s","time":"2026-01-01T00:00:00Z","data":{"a":1}}`
	for _, a := range []answer{
		p.do("POST", "/request", nil, binary...),
		p.do("POST", "/request", strings.NewReader(event), "Content-Type", "application/cloudevents+json; charset=utf-8"),
	} {
		for _, want := range []string{`"Event-Id":["7"]`, `"Event-Type":["t"]`, `"Event-Namespace":["/s"]`,
			`"Event-Time":["2026-01-01T00:00:00Z"]`} {
			if body := a.want(t, 200); !strings.Contains(body, want) {
				t.Errorf("no %s in %s", want, body)
			}
		}
	}
	a := p.do("POST", "/echo", strings.NewReader(event), "Content-Type", "application/cloudevents+json")
	if got := a.want(t, 200); got != `{"a":1}` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%q, %v", got, a.header)
	}
	p.do("POST", "/echo", strings.NewReader("{}"), "Content-Type", "application/cloudevents+json").want(t, 400)
}

func TestCORS(t *testing.T) {
	ask := []string{"Origin", "http://a", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-b"}
	for _, tt := range []struct{ origins, allowed string }{{"", "*"}, {"http://a,http://c", "http://a"}, {"http://c", ""}} {
		p := start(t, "FUNC_CORS_ORIGINS="+tt.origins).ready()
		a := p.do("OPTIONS", "/pid", nil, ask...)
		a.want(t, http.StatusNoContent)
		b := p.do("GET", "/", nil, "Origin", "http://a")
		for _, h := range []http.Header{a.header, b.header} {
			if got := h.Get("Access-Control-Allow-Origin"); got != tt.allowed {
				t.Errorf("%q allows %q, want %q", tt.origins, got, tt.allowed)
			}
		}
		if got := a.header.Get("Access-Control-Allow-Methods"); (got == "PUT") != (tt.allowed != "") {
			t.Errorf("methods %q", got)
		}
	}
	p := start(t, "FUNC_CORS_ORIGINS=off").ready()
	p.do("OPTIONS", "/", nil, ask...).want(t, 200) // the function's
}

func TestMetricsAndAccessLog(t *testing.T) {
	p := start(t, "FUNC_LOG_FORMAT=json", "FUNC_LOG_PROBES=off").ready()
	p.get("/?secret=1").want(t, 200)
	p.do("POST", "/throw", nil).want(t, 500)
	p.do("BREW", "/", nil).want(t, 200)
	for series, want := range map[string]string{
		`function_calls_total{method="GET"}`: "1", `function_calls_total{method="other"}`: "1",
		`function_failures_total{method="GET"}`: "0", `function_failures_total{method="POST"}`: "1",
		`function_duration_seconds_count{method="POST"}`:           "1",
		`function_duration_seconds_bucket{method="GET",le="+Inf"}`: "1",
		`function_queue_length`:                                    "0", `function_workers{state="idle"}`: "1",
	} {
		if got := p.metric(series); got != want {
			t.Errorf("%s is %q, want %s", series, got, want)
		}
	}
	if p.metric("process_open_fds") == "" {
		t.Error("no process metrics")
	}
	p.eventually("three lines", func() bool { return strings.Count(p.out.String(), "\n") == 3 })
	var line struct {
		Time         time.Time
		Method, Path string
		Status       int
		DurationMS   *float64 `json:"duration_ms"`
		Bytes        int
	}
	first, _, _ := strings.Cut(p.out.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatal(err)
	}
	if line.Method != "GET" || line.Path != "/" || line.Status != 200 || line.Bytes != 5 ||
		line.DurationMS == nil || line.Time.IsZero() {
		t.Errorf("line %s", first)
	}
}

func TestShutdown(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=1").ready()
	results := make(chan answer, 2)
	for _, busy := range []string{`function_workers{state="busy"}`, "function_queue_length"} {
		go func() { results <- p.get("/sleep?s=1") }() // one runs, one waits
		p.eventually(busy, func() bool { return p.metric(busy) == "1" })
	}
	p.signal(syscall.SIGTERM)
	for range 2 {
		(<-results).want(t, 200)
	}
	if err := p.wait(); err != nil {
		t.Errorf("the proxy ended: %v", err)
	}
	if a := p.get("/"); a.err == nil {
		t.Error("it still serves")
	}
}

func TestShutdownIsLimited(t *testing.T) {
	p := start(t, "SHUTDOWN_TIMEOUT=0.5").ready()
	results := make(chan answer, 1)
	go func() { results <- p.get("/sleep?s=100") }()
	p.eventually("busy", func() bool { return p.metric(`function_workers{state="busy"}`) == "1" })
	p.signal(syscall.SIGTERM)
	if a := <-results; a.err == nil {
		t.Errorf("status %d", a.status)
	}
	if err := p.wait(); err != nil {
		t.Errorf("the proxy ended: %v", err)
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	p := start(t).ready()
	before := p.get("/pid").want(t, 200)
	p.signal(syscall.SIGHUP) // ends a Go worker
	p.eventually("another worker", func() bool {
		a := p.get("/pid")
		return a.status == 200 && a.body != before
	})
}

func TestClassicServer(t *testing.T) {
	p := start(t, fmt.Sprintf("FUNC_UPSTREAM=127.0.0.1:%d", freePort(t)), "TEST_CONCURRENCY=9", "FUNC_TIMEOUT=2").ready()
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			p.get("/sleep?s=1").want(t, 200)
		}()
	}
	all.Wait()
	p.get("/sleep?s=60").want(t, http.StatusRequestTimeout)
	p.get("/").want(t, 200) // waits for the replacement
	p.get("/_health").want(t, 200)
	p.get("/exit").want(t, 500)
	p.eventually("recovery", func() bool { return p.status("/") == 200 })
}

func TestPythonWorker(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	p := start(t, "FUNC_PROCESS="+python+" testdata/worker.py", "FUNC_TIMEOUT=2").ready()
	if got := p.do("POST", "/", strings.NewReader("data"), "Event-Id", "7").want(t, 200); got != "7 data" {
		t.Errorf("body %q", got)
	}
	p.get("/loop").want(t, http.StatusRequestTimeout)
	p.get("/raise").want(t, 500)
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 50 {
				p.get("/").want(t, 200)
			}
		}()
	}
	all.Wait()
}

func TestWrongSettings(t *testing.T) {
	p := start(t, "FUNC_TIMEOUT=soon", "FUNC_PROCESS=")
	var exit *exec.ExitError
	if err := p.wait(); !errors.As(err, &exit) || exit.ExitCode() != exitConfig {
		t.Errorf("the proxy ended: %v", err)
	}
	for _, want := range []string{"FUNC_TIMEOUT", "FUNC_PROCESS"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("no %s in %q", want, p.err.String())
		}
	}
}
