package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start serves a shell script; it returns the file of what is logged, too.
func start(t *testing.T, script string) (url, log string) {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&server{program: program, stderr: stderr})
	t.Cleanup(func() { s.Close(); stderr.Close() })
	return s.URL, stderr.Name()
}

func request(ctx context.Context, t *testing.T, url, data string, header map[string]string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r
}

func do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestAnswers(t *testing.T) {
	header := map[string]string{"Event-Id": "7", "X-Some": "header", "Proxy": "evil", "Content-Type": "text/x", "X_some": "evil", "X-Some_": "evil"}
	for _, tt := range []struct {
		name, script       string
		status             int
		kind, failed, body string
		log                string
	}{
		{"data and event", `echo "$EVENT_ID $REQUEST_METHOD $PATH_INFO $QUERY_STRING $CONTENT_TYPE $HTTP_X_SOME [$HTTP_PROXY]"; cat`,
			200, "text/plain; charset=utf-8", "", "7 POST /a//b q=1 text/x header []\ndata", ""},
		{"bytes", `printf '\377\000'`, 200, "application/octet-stream", "", "\xff\x00", ""},
		{"what it logs", `echo so far >&2; echo done`, 200, "text/plain; charset=utf-8", "", "done\n", "so far\n"},
		{"failure", `echo answer; printf why >&2; exit 3`, 500, "text/plain; charset=utf-8", "exit status 3", "why\nexit status 3\n", ""},
		{"signal", `kill -9 $$`, 500, "text/plain; charset=utf-8", "signal: killed", "signal: killed\n", ""},
		{"processes left behind", `sleep 600 & echo done`, 200, "text/plain; charset=utf-8", "", "done\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, log := start(t, tt.script)
			resp, body := do(t, request(context.Background(), t, url+"/a//b?q=1", "data", header))
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind ||
				resp.Header.Get("X-Func-Error") != tt.failed || body != tt.body {
				t.Errorf("%+v %q", resp, body)
			}
			if logged, err := os.ReadFile(log); err != nil || string(logged) != tt.log {
				t.Errorf("log %q, %v", logged, err)
			}
		})
	}
}

func TestMuchOnStderrPasses(t *testing.T) {
	const size = 1 << 20
	url, log := start(t, "head -c 1048576 /dev/zero >&2; exit 1")
	resp, body := do(t, request(context.Background(), t, url, "", nil))
	if resp.StatusCode != 500 || body != "exit status 1\n" {
		t.Errorf("%+v %q", resp, body)
	}
	if info, err := os.Stat(log); err != nil || info.Size() != size {
		t.Errorf("%v, %v", info, err)
	}
}

// TestCancel cancels a call of a program that does not read its data, has a
// child, and heeds no signal that can be heeded.
func TestCancel(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	if err := syscall.Mkfifo(pids, 0o600); err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, "trap '' TERM INT; sleep 600 & echo $! > "+pids+"; wait; sleep 600")
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	running := request(ctx, t, url, "", map[string]string{callHeader: "1"})
	go func() {
		if resp, err := http.DefaultClient.Do(running); err == nil {
			resp.Body.Close()
		}
	}()
	pid, err := os.ReadFile(pids) // when the program has written it
	if err != nil {
		t.Fatal(err)
	}
	cancel := request(context.Background(), t, url+"/_cancel", "", map[string]string{callHeader: "1"})
	if resp, _ := do(t, cancel); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d", resp.StatusCode)
	}
	if state := processState(t, strings.TrimSpace(string(pid))); state != "" && state != "Z" {
		t.Errorf("the program's child is in state %s", state)
	}
}

// TestCancelledBeforeItIsRead sends a call after it has been cancelled.
func TestCancelledBeforeItIsRead(t *testing.T) {
	url, _ := start(t, "echo called")
	header := map[string]string{callHeader: "1"}
	if resp, _ := do(t, request(context.Background(), t, url+"/_cancel", "", header)); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d", resp.StatusCode)
	}
	resp, err := http.DefaultClient.Do(request(context.Background(), t, url, "", header))
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered %d", resp.StatusCode)
	}
}

// processState is the state of a process as /proc has it, after the moment
// that its end may take; empty if there is none.
func processState(t *testing.T, pid string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return ""
		}
		state := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[0]
		if state == "Z" || time.Now().After(deadline) {
			return state
		}
	}
}

func TestNoProgram(t *testing.T) {
	if err := serve(filepath.Join(t.TempDir(), "missing")); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v", err)
	}
}
