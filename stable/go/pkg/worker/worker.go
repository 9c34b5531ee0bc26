// Package worker serves one function to the proxy, on a Unix socket.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/kubeless/kubeless/pkg/functions"
)

// Function is the signature of all functions.
type Function func(functions.Event, functions.Context) (string, error)

// Serve serves the function on the socket FUNC_SOCKET until the process ends.
func Serve(f Function) {
	err := serve(f)
	fmt.Fprintln(os.Stderr, "serving the function:", err)
	os.Exit(1)
}

func serve(f Function) error {
	s, err := newServer(f, os.Getenv)
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", os.Getenv("FUNC_SOCKET"))
	if err != nil {
		return err
	}
	return http.Serve(listener, s)
}

// server answers calls, /_health and /_cancel.
type server struct {
	function Function
	context  functions.Context
	timeout  time.Duration // of a call; the proxy's is a little earlier
	calls    calls
}

func newServer(f Function, getenv func(string) string) (*server, error) {
	s := &server{function: f, calls: newCalls(), context: functions.Context{
		FunctionName: getenv("FUNC_HANDLER"),
		Timeout:      getenv("FUNC_TIMEOUT"),
		Runtime:      getenv("FUNC_RUNTIME"),
		MemoryLimit:  getenv("FUNC_MEMORY_LIMIT"),
	}}
	if s.context.Timeout == "" {
		s.context.Timeout = "180"
	}
	seconds, err := strconv.ParseFloat(s.context.Timeout, 64)
	if err != nil {
		return nil, fmt.Errorf("reading FUNC_TIMEOUT: %w", err)
	}
	s.timeout = time.Duration(seconds * float64(time.Second))
	return s, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/_health":
		w.Header().Set("X-Func-Cancel", "1")
	case "/_cancel":
		w.WriteHeader(s.calls.cancel(r.Header.Get(callHeader)))
	default:
		s.call(w, r)
	}
}

// outcome is what came of a call of the function.
type outcome struct {
	result string
	kind   string // the type of what went wrong; empty if nothing did
	trace  string
}

func (s *server) call(w http.ResponseWriter, r *http.Request) {
	client := r.Context() // ends when the proxy closes the connection
	ctx, cancel := context.WithTimeout(client, s.timeout)
	defer cancel()
	ended, ok := s.calls.began(r.Header.Get(callHeader), cancel)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	defer ended()
	r.Header.Del(callHeader)
	data, err := body(r)
	if err != nil {
		http.Error(w, "reading the request's body: "+err.Error(), http.StatusBadRequest)
		return
	}
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(strings.NewReader(data))
	answer := newResponse(w)
	o := s.invoke(answer, functions.Event{
		Data:           data,
		EventID:        r.Header.Get("Event-Id"),
		EventType:      r.Header.Get("Event-Type"),
		EventTime:      r.Header.Get("Event-Time"),
		EventNamespace: r.Header.Get("Event-Namespace"),
		Extensions:     functions.Extension{Request: r, Response: answer, Context: ctx},
	})
	ended()
	begun := answer.end()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		<-client.Done() // the proxy tells its client, and counts it
		panic(http.ErrAbortHandler)
	case o.kind != "" && begun:
		fmt.Fprintln(os.Stderr, o.trace)
		panic(http.ErrAbortHandler) // all that says that the answer is not whole
	case o.kind != "":
		for name := range w.Header() {
			delete(w.Header(), name)
		}
		w.Header().Set("X-Func-Error", o.kind)
		http.Error(w, o.trace, http.StatusInternalServerError)
	default:
		// That the client has gone is the proxy's to log.
		_, _ = io.WriteString(w, o.result)
	}
}

// invoke calls the function, whose panics end the call alone, and makes the
// answer's head ready for what it returned.
func (s *server) invoke(answer *response, event functions.Event) (o outcome) {
	defer func() {
		p := recover()
		if err, _ := p.(error); errors.Is(err, http.ErrAbortHandler) {
			panic(p) // net/http's own way to break off an answer
		}
		if p != nil {
			o = outcome{kind: kind(p), trace: fmt.Sprintf("panic: %v\n\n%s", p, debug.Stack())}
		}
	}()
	result, err := s.function(event, s.context)
	if err != nil {
		return outcome{kind: kind(err), trace: fmt.Sprintf("Error: %+v", err)}
	}
	if !answer.end() {
		answer.settle(len(result))
	}
	return outcome{result: result}
}

// kind names what a function panicked with, or returned as its error.
func kind(v interface{}) string {
	if _, ok := v.(error); ok {
		return fmt.Sprintf("%T", v)
	}
	return "panic"
}

// atOnce is how many bytes of a body get memory before they have come: a client
// may say that there are more than any memory holds.
const atOnce = 1 << 20

// body reads the request's body.
func body(r *http.Request) (string, error) {
	var b strings.Builder
	if r.ContentLength > 0 {
		size := r.ContentLength
		if size > atOnce {
			size = atOnce
		}
		b.Grow(int(size))
	}
	_, err := io.Copy(&b, r.Body)
	return b.String(), err
}
