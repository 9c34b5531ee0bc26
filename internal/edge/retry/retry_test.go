package retry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func status(code int, retryAfter string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {retryAfter}}, Body: io.NopCloser(strings.NewReader("{}"))}
}

type timeout struct{ error }

func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// brokenBody ends as one does whose connection is cut off.
type brokenBody struct{ io.Reader }

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (brokenBody) Close() error             { return nil }

func TestRetry(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where synctest's clocks begin
	const s = time.Second
	// What the server asked for, and what comes on top at the most.
	type wait struct{ asked, most time.Duration }
	waits := []wait{{0, 1 * s}, {0, 2 * s}, {0, 4 * s}}
	type outcome struct {
		resp *http.Response
		err  error
	}
	answers := func(codes ...int) (list []outcome) {
		for _, code := range codes {
			list = append(list, outcome{resp: status(code, "")})
		}
		return list
	}
	for _, test := range []struct {
		name   string
		method string
		body   io.Reader
		give   []outcome // the last one for ever
		want   int       // status; 0 for an error
		waits  []wait
	}{
		{name: "success", give: answers(200), want: 200},
		{name: "passing statuses", give: answers(500, 429, 408, 200), want: 200, waits: waits},
		{name: "gateway statuses", give: answers(502, 503, 504, 404), want: 404, waits: waits},
		{name: "bounded attempts", give: answers(503), want: 503, waits: waits},
		{name: "refused", give: answers(401), want: 401},
		{name: "forbidden", give: answers(403), want: 403},
		{name: "not implemented", give: answers(501), want: 501},
		{name: "reset", give: []outcome{{err: syscall.ECONNRESET}, {err: io.ErrUnexpectedEOF}, {err: timeout{io.ErrClosedPipe}}, {resp: status(200, "")}}, want: 200, waits: waits},
		{name: "answer cut off", give: []outcome{{resp: &http.Response{StatusCode: 200, Body: brokenBody{}}}, {resp: status(200, "")}}, want: 200, waits: waits[:1]},
		{name: "broken while sending", give: []outcome{{err: syscall.EPIPE}, {err: net.ErrClosed}, {resp: status(200, "")}}, want: 200, waits: waits[:2]},
		{name: "connection refused", give: []outcome{{err: syscall.ECONNREFUSED}}},
		{name: "Retry-After in seconds", give: []outcome{{resp: status(429, "7")}, {resp: status(200, "")}}, want: 200, waits: []wait{{7 * s, s}}},
		{name: "Retry-After as a date", give: []outcome{{resp: status(503, start.Add(9*s).Format(http.TimeFormat))}, {resp: status(200, "")}}, want: 200, waits: []wait{{9 * s, s}}},
		{name: "Retry-After in the past", give: []outcome{{resp: status(503, start.Add(-9*s).Format(http.TimeFormat))}, {resp: status(200, "")}}, want: 200, waits: waits[:1]},
		{name: "Retry-After that is nonsense", give: []outcome{{resp: status(503, "-5")}, {resp: status(200, "")}}, want: 200, waits: waits[:1]},
		{name: "Retry-After too long", give: []outcome{{resp: status(429, "21600")}}, want: 429},
		{name: "body that can be replayed", method: "PUT", body: strings.NewReader("body"), give: answers(500, 201), want: 201, waits: waits[:1]},
		{name: "body that cannot", method: "PUT", body: io.MultiReader(strings.NewReader("body")), give: answers(500), want: 500},
		{name: "token by POST", method: "POST", body: strings.NewReader("body"), give: answers(500, 200), want: 200, waits: waits[:1]},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries []time.Time
				transport := New(roundTripper(func(req *http.Request) (*http.Response, error) {
					if test.body != nil {
						if content, err := io.ReadAll(req.Body); err != nil || string(content) != "body" {
							t.Errorf("try %d got the body %q, %v", len(tries), content, err)
						}
					}
					next := test.give[min(len(tries), len(test.give)-1)]
					tries = append(tries, time.Now())
					return next.resp, next.err
				}), 3, s)
				req, err := http.NewRequest(test.method, "http://server.example/v2/", test.body)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := transport.RoundTrip(req)
				switch {
				case test.want == 0 && err == nil:
					t.Errorf("got %d, want an error", resp.StatusCode)
				case test.want != 0 && err != nil:
					t.Errorf("error: %v", err)
				case test.want != 0 && resp.StatusCode != test.want:
					t.Errorf("got %d, want %d", resp.StatusCode, test.want)
				}
				if len(tries) != 1+len(test.waits) {
					t.Fatalf("%d tries, want %d", len(tries), 1+len(test.waits))
				}
				for i, want := range test.waits {
					if waited := tries[i+1].Sub(tries[i]); waited < want.asked || waited > want.asked+want.most {
						t.Errorf("wait %d took %v, want %v and up to %v more", i, waited, want.asked, want.most)
					}
				}
			})
		})
	}
}

// triesOf is when a request is tried at a server that always asks for 20
// seconds.
func triesOf(t *testing.T, retries int) (tries []time.Time) {
	synctest.Test(t, func(t *testing.T) {
		transport := New(roundTripper(func(*http.Request) (*http.Response, error) {
			tries = append(tries, time.Now())
			return status(503, "20"), nil
		}), retries, 0)
		if resp, err := transport.RoundTrip(request(t.Context(), t, "server.example")); err != nil || resp.StatusCode != 503 {
			t.Errorf("got %v, %v", resp, err)
		}
	})
	return tries
}

func TestRetriesAreBounded(t *testing.T) {
	for retries, want := range map[int]int{-1: 1, 0: 1 + defaultTries, 1: 2} {
		if got := len(triesOf(t, retries)); got != want {
			t.Errorf("Retries %d: %d tries, want %d", retries, got, want)
		}
	}
	tries := triesOf(t, 1000)
	if took := tries[len(tries)-1].Sub(tries[0]); took > maxTime || took < maxTime/2 {
		t.Errorf("the last try began after %v, want about %v", took, maxTime)
	}
}

func TestJitterIsFull(t *testing.T) {
	low, high := 0, 0
	for range 200 {
		tries := triesOf(t, 1)
		switch d := tries[1].Sub(tries[0]) - 20*time.Second; {
		case d < 0 || d > defaultBase:
			t.Fatalf("jitter of %v", d)
		case d < defaultBase/2:
			low++
		default:
			high++
		}
	}
	if low == 0 || high == 0 {
		t.Errorf("%d below the middle, %d above", low, high)
	}
}

func request(ctx context.Context, t *testing.T, host string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestCancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		transport := New(roundTripper(func(*http.Request) (*http.Response, error) {
			calls++
			return status(429, "20"), nil
		}), 0, 0)
		began := time.Now()
		time.AfterFunc(time.Second, cancel)
		_, err := transport.RoundTrip(request(ctx, t, "server.example"))
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("after %d tries: %v", calls, err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("ended after %v, want 1s", took)
		}
	})
}
