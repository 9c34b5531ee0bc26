package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubeless/kubeless/pkg/functions"
)

// start serves a function with a time limit, in seconds.
func start(t *testing.T, timeout string, f Function) *httptest.Server {
	t.Helper()
	env := map[string]string{"FUNC_HANDLER": "Handler", "FUNC_TIMEOUT": timeout, "FUNC_RUNTIME": "go1", "FUNC_MEMORY_LIMIT": "64Mi"}
	s, err := newServer(f, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server
}

// request is one to the server, with pairs of header names and values.
func request(ctx context.Context, t *testing.T, url, data string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
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

type failure struct{}

func (failure) Error() string { return "no luck" }

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		function func(functions.Event) (string, error)
		status   int
		kind     string // of the content
		failed   string // X-Func-Error
		body     string // that the body starts with
	}{
		{"text", func(e functions.Event) (string, error) { return "<b>" + e.Data, nil },
			200, "text/plain; charset=utf-8", "", "<b>data"},
		{"own content type", func(e functions.Event) (string, error) {
			e.Extensions.Response.Header().Set("Content-Type", "text/html")
			return "<b>", nil
		}, 200, "text/html", "", "<b>"},
		{"own status", func(e functions.Event) (string, error) {
			e.Extensions.Response.WriteHeader(http.StatusTeapot)
			return "teapot", nil
		}, 418, "text/plain; charset=utf-8", "", "teapot"},
		{"what it returns follows what it wrote", func(e functions.Event) (string, error) {
			fmt.Fprint(e.Extensions.Response, "first, ")
			return "second", nil
		}, 200, "text/plain; charset=utf-8", "", "first, second"},
		{"error", func(functions.Event) (string, error) { return "lost", failure{} },
			500, "text/plain; charset=utf-8", "worker.failure", "Error: no luck\n"},
		{"panic", func(functions.Event) (string, error) { panic("on purpose") },
			500, "text/plain; charset=utf-8", "panic", "panic: on purpose\n\ngoroutine "},
		{"runtime error", func(e functions.Event) (string, error) { return e.Data[100:], nil },
			500, "text/plain; charset=utf-8", "runtime.boundsError", "panic: runtime error: slice bounds"},
		{"the request's body can be read", func(e functions.Event) (string, error) {
			text, err := io.ReadAll(e.Extensions.Request.Body)
			return e.Extensions.Request.URL.Path + " " + string(text), err
		}, 200, "text/plain; charset=utf-8", "", "/a//b data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := start(t, "60", func(e functions.Event, _ functions.Context) (string, error) { return tt.function(e) })
			resp, body := do(t, request(context.Background(), t, server.URL+"/a//b", "data"))
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind ||
				resp.Header.Get("X-Func-Error") != tt.failed || !strings.HasPrefix(body, tt.body) {
				t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
			}
		})
	}
}

func TestEventAndContext(t *testing.T) {
	var event functions.Event
	var about functions.Context
	server := start(t, "1.5", func(e functions.Event, c functions.Context) (string, error) {
		event, about = e, c
		return "", nil
	})
	do(t, request(context.Background(), t, server.URL, `{"a": 1}`, "Event-Id", "1", "Event-Type", "t",
		"Event-Time", "now", "Event-Namespace", "n", callHeader, "7"))
	if event.Data != `{"a": 1}` || event.EventID != "1" || event.EventType != "t" || event.EventTime != "now" || event.EventNamespace != "n" {
		t.Errorf("%+v", event)
	}
	if event.Extensions.Request.Header.Get(callHeader) != "" {
		t.Error("the function sees the proxy's header")
	}
	if want := (functions.Context{FunctionName: "Handler", Timeout: "1.5", Runtime: "go1", MemoryLimit: "64Mi"}); about != want {
		t.Errorf("%+v", about)
	}
}

func TestStream(t *testing.T) {
	read := make(chan struct{})
	server := start(t, "60", func(e functions.Event, _ functions.Context) (string, error) {
		fmt.Fprintln(e.Extensions.Response, "first")
		e.Extensions.Response.(http.Flusher).Flush()
		<-read
		return "", errors.New("in the middle")
	})
	resp, err := http.DefaultClient.Do(request(context.Background(), t, server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(read)
	if rest, err := io.ReadAll(lines); err == nil {
		t.Errorf("an answer that failed looks whole: %q", rest)
	}
}

func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name   string
		heeds  bool
		status int
	}{
		{"a function that returns", true, http.StatusNoContent},
		{"a function that goes on", false, http.StatusConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began, end := make(chan struct{}), make(chan struct{})
			server := start(t, "60", func(e functions.Event, _ functions.Context) (string, error) {
				close(began)
				if tt.heeds {
					<-e.Extensions.Context.Done()
				} else {
					<-end
				}
				return "", nil
			})
			defer close(end)
			go func() {
				if resp, err := http.DefaultClient.Do(request(context.Background(), t, server.URL, "", callHeader, "7")); err == nil {
					resp.Body.Close()
				}
			}()
			<-began
			if resp, _ := do(t, request(context.Background(), t, server.URL+"/_cancel", "", callHeader, "7")); resp.StatusCode != tt.status {
				t.Errorf("%d", resp.StatusCode)
			}
			if resp, _ := do(t, request(context.Background(), t, server.URL+"/_cancel", "", callHeader, "8")); resp.StatusCode != http.StatusNoContent {
				t.Errorf("a call that does not run: %d", resp.StatusCode)
			}
			late, err := http.DefaultClient.Do(request(context.Background(), t, server.URL, "", callHeader, "8"))
			if err == nil {
				late.Body.Close()
				t.Errorf("a call that came later than its end was said: %d", late.StatusCode)
			}
		})
	}
}

func TestContextEnds(t *testing.T) {
	for _, tt := range []struct {
		name, timeout string
		leave         bool
		want          error
	}{
		{"the client goes", "60", true, context.Canceled},
		{"the time is up", "0.01", false, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			ended := make(chan error, 1)
			server := start(t, tt.timeout, func(e functions.Event, _ functions.Context) (string, error) {
				if tt.leave {
					leave()
				}
				<-e.Extensions.Context.Done()
				ended <- e.Extensions.Context.Err()
				leave() // as the proxy closes the connection when its own time is up
				return "late", nil
			})
			if resp, err := http.DefaultClient.Do(request(ctx, t, server.URL, "")); err == nil {
				resp.Body.Close()
				t.Errorf("answered %d", resp.StatusCode)
			}
			if err := <-ended; !errors.Is(err, tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	resp, _ := do(t, request(context.Background(), t, start(t, "", nil).URL+"/_health", ""))
	if resp.StatusCode != 200 || resp.Header.Get("X-Func-Cancel") != "1" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestWrongTimeout(t *testing.T) {
	if _, err := newServer(nil, func(string) string { return "soon" }); err == nil || !strings.Contains(err.Error(), "FUNC_TIMEOUT") {
		t.Errorf("%v", err)
	}
}
