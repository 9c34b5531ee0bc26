// Command worker runs a program for every call: the data is its stdin, the
// event is in its environment, its stdout is the answer.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// callHeader has the call's ID, in the call and in the request to cancel it.
const callHeader = "X-Func-Call-Id"

// leftBehind is how long processes that the program left behind may keep its
// stdout open.
const leftBehind = 100 * time.Millisecond

func main() {
	err := errors.New("usage: worker PROGRAM")
	if len(os.Args) == 2 {
		err = serve(os.Args[1])
	}
	fmt.Fprintln(os.Stderr, "serving the program:", err)
	os.Exit(1)
}

func serve(program string) error {
	if _, err := exec.LookPath(program); err != nil {
		return err
	}
	listener, err := net.Listen("unix", os.Getenv("FUNC_SOCKET"))
	if err != nil {
		return err
	}
	return http.Serve(listener, &server{program: program, stderr: os.Stderr})
}

// rememberFor is how long a call that was cancelled before it was read may take
// to arrive. Its connection is closed, so only a busy machine keeps it.
const rememberFor = time.Minute

// server answers calls, /_health and /_cancel.
type server struct {
	program string
	stderr  *os.File
	running sync.Map // calls by ID, also those that were cancelled before they were read
}

type call struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when its processes have ended
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/_health":
		w.Header().Set("X-Func-Cancel", "1")
	case "/_cancel":
		s.cancel(r.Header.Get(callHeader))
		w.WriteHeader(http.StatusNoContent)
	default:
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		c, id := &call{cancel: cancel, done: make(chan struct{})}, r.Header.Get(callHeader)
		if _, taken := s.running.LoadOrStore(id, c); taken && id != "" {
			panic(http.ErrAbortHandler) // cancelled before it was read
		}
		s.call(ctx, w, r)
		s.running.Delete(id)
		close(c.done)
	}
}

// cancel returns when nothing of the call runs, nor will: one that is still to
// be read finds its ID taken.
func (s *server) cancel(id string) {
	never := &call{cancel: func() {}, done: make(chan struct{})}
	close(never.done)
	c, running := s.running.LoadOrStore(id, never)
	if !running {
		time.AfterFunc(rememberFor, func() { s.running.CompareAndDelete(id, never) })
	}
	c.(*call).cancel()
	<-c.(*call).done
}

// call runs the program, and answers when it has ended: with what it printed,
// or, if it failed, with what it said about that.
func (s *server) call(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	// All of it before the program starts: one that breaks off is no data.
	data, err := io.ReadAll(r.Body)
	if err != nil {
		w.Header().Set("Connection", "close")
		http.Error(w, "reading the request's body: "+err.Error(), http.StatusBadRequest)
		return
	}
	cmd := exec.CommandContext(ctx, s.program)
	cmd.Env = append(os.Environ(), environment(r)...)
	var stdout bytes.Buffer
	stderr := &held{to: s.stderr}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), &stdout, stderr
	// A group of its own, so that all of it can be killed; the program itself
	// ends with this worker, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	killGroup := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = killGroup, leftBehind
	err = cmd.Run()
	if cmd.Process != nil {
		_ = killGroup() // what is left of it, mostly nothing
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		w.Header().Set("X-Func-Error", err.Error())
		http.Error(w, stderr.text()+err.Error(), http.StatusInternalServerError)
		return
	}
	stderr.release()
	w.Header().Set("Content-Type", "application/octet-stream")
	if utf8.Valid(stdout.Bytes()) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.Header().Set("Content-Length", fmt.Sprint(stdout.Len()))
	_, _ = w.Write(stdout.Bytes()) // that the client has gone is the proxy's to log
}

// environment is the event, and the request as CGI names it (RFC 3875).
func environment(r *http.Request) []string {
	env := []string{
		"EVENT_ID=" + r.Header.Get("Event-Id"),
		"EVENT_TYPE=" + r.Header.Get("Event-Type"),
		"EVENT_TIME=" + r.Header.Get("Event-Time"),
		"EVENT_NAMESPACE=" + r.Header.Get("Event-Namespace"),
		"CONTENT_TYPE=" + r.Header.Get("Content-Type"),
		"REQUEST_METHOD=" + r.Method,
		"PATH_INFO=" + r.URL.Path,
		"QUERY_STRING=" + r.URL.RawQuery,
	}
	for name, values := range r.Header {
		// A name with an underscore would become another header's, Proxy the
		// variable that HTTP clients take their proxy from.
		if name != callHeader && name != "Proxy" && !strings.Contains(name, "_") {
			env = append(env, "HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+strings.Join(values, ", "))
		}
	}
	return env
}
