package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

const (
	readyLimit = time.Minute
	pollPause  = 50 * time.Millisecond
	// logLines is how many lines of a log a failure shows.
	logLines = 15
	asJSON   = "application/json"
	asText   = "text/plain; charset=utf-8"
)

// A server is a running function and the time that it took to be ready.
type server struct {
	containers.Server
	client *http.Client
	began  time.Time
	// probe asks whether it is ready.
	probe containers.Probe
	// ready is the time from the start to its first 200.
	ready time.Duration
	// first is what the call answered that came right after that.
	first    answer
	firstErr error
}

func newServer(container containers.Server, began time.Time) *server {
	// Each call has a connection of its own: a kept one that the server closes
	// would make the client try again, and the counts of calls wrong.
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	s := &server{Server: container, began: began, client: &http.Client{Transport: transport}}
	s.probe.Get = func(ctx context.Context, path string) (int, string, error) {
		a, err := s.call(ctx, request{path: path})
		return a.status, a.body, err
	}
	return s
}

// A request is a call of a function.
type request struct {
	// method is GET or, with a body, POST if empty; path is / if empty.
	method, path string
	kind         string // Content-Type
	header       map[string]string
	body         string
	// chunked sends the body without telling its length.
	chunked bool
}

// do is a call that says what the contract function shall do.
func do(what string, arguments map[string]any) request {
	data := map[string]any{"do": what}
	for name, value := range arguments {
		data[name] = value
	}
	return request{kind: asJSON, body: encode(data)}
}

func (r request) String() string {
	text := r.verb() + " " + r.target()
	if r.body != "" {
		text += " " + strings.ReplaceAll(function.Shorten(r.body, 60), "\n", `\n`)
	}
	return text
}

func (r request) verb() string {
	switch {
	case r.method != "":
		return r.method
	case r.body != "":
		return http.MethodPost
	}
	return http.MethodGet
}

func (r request) target() string {
	if r.path == "" {
		return "/"
	}
	return r.path
}

// An answer is what came back.
type answer struct {
	request request
	status  int
	header  http.Header
	body    string
	took    time.Duration
}

// open sends a request and returns the response with its body unread.
func (s *server) open(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
		if r.chunked {
			body = io.MultiReader(body) // hides the length
		}
	}
	request, err := http.NewRequestWithContext(ctx, r.verb(), s.URL()+r.target(), body)
	if err != nil {
		return nil, err
	}
	if r.kind != "" {
		request.Header.Set("Content-Type", r.kind)
	}
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: no answer: %w", r, err)
	}
	return response, nil
}

// call sends a request and reads the answer.
func (s *server) call(ctx context.Context, r request) (answer, error) {
	began := time.Now()
	response, err := s.open(ctx, r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: status %d, then its body broke off after %d bytes: %w", r, response.StatusCode, len(body), err)
	}
	return answer{request: r, status: response.StatusCode, header: response.Header, body: string(body), took: time.Since(began)}, nil
}

// expect calls and wants this status and body.
func (s *server) expect(ctx context.Context, r request, status int, body string) (answer, error) {
	a, err := s.call(ctx, r)
	if err != nil {
		return a, err
	}
	if a.status != status || a.body != body {
		return a, a.unlike("%d %s", status, quote(body))
	}
	return a, nil
}

// expectJSON calls and wants 200 and this value as JSON.
func (s *server) expectJSON(ctx context.Context, r request, want any) (answer, error) {
	a, err := s.call(ctx, r)
	if err != nil {
		return a, err
	}
	if a.status != http.StatusOK || !a.holds(want) {
		return a, a.unlike("200 %s", function.Shorten(encode(want), 300))
	}
	return a, nil
}

// holds tells whether the body is this value as JSON.
func (a answer) holds(want any) bool {
	var got, same any
	if json.Unmarshal([]byte(a.body), &got) != nil || json.Unmarshal([]byte(encode(want)), &same) != nil {
		return false
	}
	return reflect.DeepEqual(got, same)
}

// sameTexts tells whether a body is a JSON object of these texts; a number
// counts as the text that it is written as.
func sameTexts(body string, want map[string]any) bool {
	var got map[string]any
	if json.Unmarshal([]byte(body), &got) != nil {
		return false
	}
	for name, value := range got {
		got[name] = fmt.Sprint(value)
	}
	return reflect.DeepEqual(got, want)
}

// unlike is the error that what was wanted did not come.
func (a answer) unlike(format string, args ...any) error {
	return fmt.Errorf("%s: want %s, got %d %s", a.request, fmt.Sprintf(format, args...), a.status, quote(a.body))
}

// await polls the probe until done says so. It ends with an error when the
// container ends or the time is up.
func (s *server) await(ctx context.Context, what string, done func(status int, reason string) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	status, reason := 0, ""
	for {
		got, text, err := s.probe.Ask(ctx)
		if err == nil {
			status, reason = got, text
			if ok, err := done(status, reason); ok || err != nil {
				return err
			}
			if status == 0 {
				err = s.alive(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if pause(ctx, pollPause) != nil {
			return fmt.Errorf("want %s within %s, got %s", what, readyLimit, s.healthText(status, reason))
		}
	}
}

func (s *server) healthText(status int, reason string) string {
	if status == 0 {
		return "no answer from /readyz or /healthz"
	}
	return fmt.Sprintf("%s %d %s", s.probe.Path(), status, quote(reason))
}

var errEnded = errors.New("the container has ended")

// alive is errEnded if the container has ended.
func (s *server) alive(ctx context.Context) error {
	state, err := s.State(ctx)
	if err == nil && !state.Running {
		err = fmt.Errorf("%w with exit code %d", errEnded, state.ExitCode)
	}
	return err
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settle waits until the server is ready and makes the first call.
func (s *server) settle(ctx context.Context) error {
	err := s.await(ctx, "200", func(status int, _ string) (bool, error) { return status == http.StatusOK, nil })
	if err != nil {
		return fmt.Errorf("the function did not load: %w", err)
	}
	s.ready = time.Since(s.began)
	s.first, s.firstErr = s.call(ctx, request{})
	return nil
}

// awaitLog waits until find is content with what the container printed. Its
// error is the reason why it is not.
func (s *server) awaitLog(ctx context.Context, find func(containers.Output) error) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		output, err := s.Logs(ctx)
		if err != nil {
			return err
		}
		if err = find(output); err == nil || time.Now().After(deadline) {
			return err
		}
		if pauseErr := pause(ctx, pollPause); pauseErr != nil {
			return errors.Join(err, pauseErr)
		}
	}
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		// What is encoded here is written in this package.
		panic(err)
	}
	return string(text)
}

// quote is a body as a message shows it.
func quote(text string) string { return fmt.Sprintf("%q", function.Shorten(text, 200)) }
