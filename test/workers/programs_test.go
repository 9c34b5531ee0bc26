package workers

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startProgram starts the worker of programs for a shell script.
func startProgram(t *testing.T, script string) *worker {
	t.Helper()
	return startFile(t, "#!/bin/sh\n"+script)
}

// startFile starts the worker of programs for a file of that content.
func startFile(t *testing.T, content string) *worker {
	t.Helper()
	return start(t, language{name: "binary", needs: []string{"cc"}, prepare: func(t *testing.T, folder string) []string {
		program := filepath.Join(folder, "program")
		write(t, program, content)
		return []string{binaryWorker(t), program}
	}})
}

// call sends one call with headers of its own, and returns its answer.
func (w *worker) call(t *testing.T, target, head, data string) answer {
	t.Helper()
	conn := w.dial(t)
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s", target, head, len(data), data)
	a, err := readAnswer(bufio.NewReader(conn), "POST")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestPrograms calls programs that end in each way.
func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		name, script       string
		status             int
		kind, failed, body string
		log                string
	}{
		{"data and event", `echo "$EVENT_ID $REQUEST_METHOD $PATH_INFO $QUERY_STRING $CONTENT_TYPE $CONTENT_LENGTH $HTTP_X_SOME $HTTP_COOKIE"; cat`,
			200, "text/plain; charset=utf-8", "", "7 POST /a//b c q=1?%20 text/x 4 one, two a=1; b=2\ndata", ""},
		{"bytes", `printf '\377\000'`, 200, "application/octet-stream", "", "\xff\x00", ""},
		{"UTF-8", `printf '\303\244\360\237\230\200'`, 200, "text/plain; charset=utf-8", "", "ä😀", ""},
		{"a surrogate is no UTF-8", `printf '\355\240\200'`, 200, "application/octet-stream", "", "\xed\xa0\x80", ""},
		{"beyond Unicode", `printf '\364\220\200\200'`, 200, "application/octet-stream", "", "\xf4\x90\x80\x80", ""},
		{"what it logs", `echo so far >&2; echo done`, 200, "text/plain; charset=utf-8", "", "done\n", "so far\n"},
		{"failure", `echo answer; printf why >&2; exit 3`, 500, "text/plain; charset=utf-8", "exit status 3", "why\nexit status 3\n", ""},
		{"signal", `kill -9 $$`, 500, "text/plain; charset=utf-8", "signal: Killed", "signal: Killed\n", ""},
		{"signals are its own", `kill -PIPE $$`, 500, "text/plain; charset=utf-8", "signal: Broken pipe", "signal: Broken pipe\n", ""},
		{"processes left behind", `sleep 600 & echo done`, 200, "text/plain; charset=utf-8", "", "done\n", ""},
		{"processes that end soon after", `(sleep 0.01; echo late) & echo done`, 200, "text/plain; charset=utf-8", "", "done\nlate\n", ""},
		{"stdout closed early", `echo done; exec >&- 2>&-; sleep 0.2; exit 4`, 500, "text/plain; charset=utf-8", "exit status 4", "exit status 4\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := startProgram(t, tt.script)
			a := w.call(t, "/a//b%20c?q=1?%20", "Event-Id: 7\r\nX-Some: one\r\nX-Some: two\r\nCookie: a=1\r\nCookie: b=2\r\nContent-Type: text/x\r\n", "data")
			if a.status != tt.status || a.get("Content-Type") != tt.kind || a.get("X-Func-Error") != tt.failed || a.body != tt.body {
				t.Errorf("%+v", a)
			}
			if log := w.logged(t); log != tt.log {
				t.Errorf("log %q", log)
			}
		})
	}
}

// TestMuchOnStderrPasses has a program write more than is held back for it.
func TestMuchOnStderrPasses(t *testing.T) {
	const size = 1 << 20
	w := startProgram(t, fmt.Sprintf("head -c %d /dev/zero >&2; exit 1", size))
	if a := w.call(t, "/", "", ""); a.status != 500 || a.body != "exit status 1\n" {
		t.Errorf("%+v", a)
	}
	waitFor(t, "all of its stderr in the log", func() bool { return len(w.logged(t)) == size })
}

// TestZeroBytesInPaths asks for a path that no variable can hold whole.
func TestZeroBytesInPaths(t *testing.T) {
	w := startProgram(t, `echo "$PATH_INFO"`)
	if a := w.call(t, "/a%00.txt", "", ""); a.status != http.StatusBadRequest {
		t.Errorf("%+v", a)
	}
}

// TestNoProgram starts the worker where its program is missing, or is none.
func TestNoProgram(t *testing.T) {
	folder := t.TempDir()
	worker := binaryWorker(t)
	for _, program := range []string{filepath.Join(folder, "missing"), folder} {
		out, err := exec.Command(worker, program).CombinedOutput()
		if err == nil || !strings.Contains(string(out), program) {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestFilesThatCannotRun replaces the program by a file of another machine.
func TestFilesThatCannotRun(t *testing.T) {
	w := startFile(t, "\x7fELF\x02\x01\x01")
	if a := w.call(t, "/", "", ""); a.status != 500 || a.get("X-Func-Error") == "" {
		t.Errorf("%+v", a)
	}
}

// fifo makes a pipe with a name.
func fifo(t *testing.T, path string) string {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// deaf is a script that writes the process of its child to a pipe, and heeds no
// signal that can be heeded. It reads no data.
func deaf(t *testing.T) (script, pids string) {
	t.Helper()
	pids = fifo(t, filepath.Join(t.TempDir(), "pids"))
	return "trap '' TERM INT; echo why >&2; sleep 600 & echo $! > " + pids + "; wait; sleep 600", pids
}

// begin sends a call of a deaf program, and returns its connection and the
// process of the program's child.
func begin(t *testing.T, w *worker, id, pids string) (conn *net.UnixConn, child string) {
	t.Helper()
	conn = w.dial(t)
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nX-Func-Call-Id: %s\r\nContent-Length: 0\r\n\r\n", id)
	pid, err := os.ReadFile(pids) // when the program has written it
	if err != nil {
		t.Fatal(err)
	}
	return conn, strings.TrimSpace(string(pid))
}

// runs says whether there is a process that is more than a zombie.
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[0] != "Z"
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// TestProgramsAreStopped ends calls in each way that the proxy does: nothing of
// the program's processes must be left, what it logged must, and others go on.
func TestProgramsAreStopped(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *worker, conn *net.UnixConn){
		"cancelled": func(t *testing.T, w *worker, _ *net.UnixConn) {
			if a := w.call(t, "/_cancel", "X-Func-Call-Id: 1\r\n", ""); a.status != http.StatusNoContent {
				t.Errorf("%+v", a)
			}
		},
		"connection closed": func(_ *testing.T, _ *worker, conn *net.UnixConn) { conn.Close() },
		"one call ahead": func(_ *testing.T, _ *worker, conn *net.UnixConn) {
			fmt.Fprint(conn, "GET /_health HTTP/1.1\r\nHost: a\r\n\r\n")
			conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			script, pids := deaf(t)
			w := startProgram(t, `[ "$PATH_INFO" = / ] || exit 0`+"\n"+script)
			conn, child := begin(t, w, "1", pids)
			end(t, w, conn)
			waitFor(t, "the end of the program's child", func() bool { return !runs(child) })
			waitFor(t, "the program's stderr in the log", func() bool { return w.logged(t) == "why\n" })
			if a := w.call(t, "/other", "X-Func-Call-Id: 2\r\n", ""); a.status != 200 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestProgramsEndWithTheirWorker kills the worker beside a running call, and
// asks another to end.
func TestProgramsEndWithTheirWorker(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			pids := fifo(t, filepath.Join(t.TempDir(), "pids"))
			w := startProgram(t, "echo $$ > "+pids+"; exec sleep 600")
			_, program := begin(t, w, "1", pids)
			w.stop(signal)
			waitFor(t, "the end of the program", func() bool { return !runs(program) })
		})
	}
}

// TestCancelledBeforeItIsRead sends a call after it has been cancelled.
func TestCancelledBeforeItIsRead(t *testing.T) {
	w := startProgram(t, "echo called")
	if a := w.call(t, "/_cancel", "X-Func-Call-Id: 1\r\n", ""); a.status != http.StatusNoContent {
		t.Errorf("%+v", a)
	}
	if got := w.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Func-Call-Id: 1\r\n\r\n", false); got != "" {
		t.Errorf("answered %q", got)
	}
	if a := w.call(t, "/", "X-Func-Call-Id: 2\r\n", ""); a.body != "called\n" {
		t.Errorf("%+v", a)
	}
}

// TestProgramsSideBySide has a program wait for another call's.
func TestProgramsSideBySide(t *testing.T) {
	w := startProgram(t, `read -r way; [ "$way" = last ] && echo go > "$KUBELESS_INSTALL_VOLUME/pipe" || read -r word < "$KUBELESS_INSTALL_VOLUME/pipe"; echo "$way"`)
	fifo(t, filepath.Join(filepath.Dir(w.socket), "pipe"))
	first := w.dial(t)
	fmt.Fprint(first, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nfirst\n")
	if a := w.call(t, "/_health", "", ""); a.status != 200 || a.get("X-Func-Cancel") != "1" {
		t.Errorf("%+v", a)
	}
	if a := w.call(t, "/", "", "last\n"); a.body != "last\n" {
		t.Errorf("%+v", a)
	}
	if a, err := readAnswer(bufio.NewReader(first), "POST"); err != nil || a.body != "first\n" {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestLongStreams sends a long body in chunks that end in the middle of what the
// worker reads at once.
func TestLongStreams(t *testing.T) {
	const size, rounds = 100_000, 300
	w := startProgram(t, "exec wc -c")
	conn := w.dial(t)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		chunk := fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size))
		for range rounds {
			fmt.Fprint(conn, chunk)
		}
		fmt.Fprint(conn, "0\r\n\r\n")
	}()
	if a, err := readAnswer(bufio.NewReader(conn), "POST"); err != nil || a.body != fmt.Sprintln(size*rounds) {
		t.Fatalf("%+v, %v", a, err)
	}
}
