package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/rtbuild/rtbuild/pkg/build"
)

func TestCauseOf(t *testing.T) {
	const url = "http://127.0.0.1:5000/v2/test/403/blobs/uploads/429?digest=sha256%3A503"
	tests := []struct {
		message string
		want    pushCause
	}{
		{"failed to push r/x:1: unexpected status from POST request to " + url + ": 503 Service Unavailable", causeTransient},
		{"unexpected status from PUT request to " + url + ": 429 Too Many Requests", causeTransient},
		{"unexpected status from PUT request to " + url + ": 408 Request Timeout", causeTransient},
		{"unexpected status from PUT request to " + url + ": 520 <none>", causeTransient},
		{"unexpected status from HEAD request to " + url + ": 403 Forbidden", causeDenied},
		{"unexpected status from POST request to " + url + ": 401 Unauthorized", causeDenied},
		{"unexpected status from PUT request to " + url + ": 400 Bad Request", causeOther},
		{"unexpected status from PUT request to " + url + ": 404 Not Found", causeOther},
		{"failed to authorize: failed to fetch oauth token: unexpected status from POST request to " + url + ": 503 Service Unavailable", causeTransient},
		{"received unexpected HTTP status: 502 Bad Gateway", causeTransient},
		{`error parsing HTTP 429 response body: unexpected end of JSON input: ""`, causeTransient},
		{`error parsing HTTP 403 response body: unexpected end of JSON input: ""`, causeDenied},
		{"toomanyrequests: You have reached your rate limit", causeTransient},
		{"too many requests to registry", causeTransient},
		{"unauthorized: authentication required", causeDenied},
		{"denied: requested access to the resource is denied", causeDenied},
		{"no basic auth credentials", causeDenied},
		{"push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", causeDenied},
		{`Put "` + url + `": EOF`, causeTransient},
		{`failed to do request: Put "` + url + `": unexpected EOF`, causeTransient},
		{"read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer", causeTransient},
		{"write: broken pipe", causeTransient},
		{"dial tcp 192.0.2.1:443: i/o timeout", causeTransient},
		{"net/http: TLS handshake timeout", causeTransient},
		{"dial tcp 127.0.0.1:1: connect: connection refused", causeOther},
		{"tls: failed to verify certificate: x509: certificate signed by unknown authority", causeOther},
		{"manifest invalid: manifest invalid", causeOther},
	}
	for _, test := range tests {
		if got := causeOf(test.message); got != test.want {
			t.Errorf("causeOf(%q) = %d, want %d", test.message, got, test.want)
		}
	}
}

func TestPushErrorSaysWhatToDo(t *testing.T) {
	tests := []struct{ ref, message, want string }{
		{"ghcr.io/a/b:1", "unauthorized: authentication required", "docker login ghcr.io"},
		{"a/b:1", "denied: no", "docker login docker.io"},
		{"127.0.0.1:5000/a:1", "EOF", "try again later"},
	}
	for _, test := range tests {
		err := newPushError(test.ref, test.message, errors.New(test.message), false)
		for _, want := range []string{test.ref, err.host(), test.message, test.want} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q lacks %q", err, want)
			}
		}
	}
}

func TestExporterPushError(t *testing.T) {
	failed := errors.New("failed to solve: failed to push r.example/x:1: write: broken pipe")
	var push *pushError
	if err := exporterPushError(build.Request{Push: true}, newStepRecord(), failed); !errors.As(err, &push) || push.ref != "r.example/x:1" || push.text != "write: broken pipe" || push.engineRetried {
		t.Errorf("exporterPushError = %+v", err)
	}
	steps := newStepRecord()
	steps.add(&client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: "a", Name: "exporting to image"}},
		Logs:     []*client.VertexLog{{Vertex: "a", Data: []byte("error: EOF\nretrying in 1s\n")}},
	})
	if err := exporterPushError(build.Request{Push: true}, steps, failed); !errors.As(err, &push) || !push.engineRetried {
		t.Errorf("exporterPushError = %+v", err)
	}
	for _, other := range []error{errors.New("failed to solve: no match for platform"), context.Canceled} {
		if err := exporterPushError(build.Request{Push: true}, steps, other); !errors.Is(err, other) || errors.As(err, &push) {
			t.Errorf("exporterPushError(%v) = %v", other, err)
		}
	}
}

func TestPushRetry(t *testing.T) {
	transient := newPushError("r.example/x:1", "EOF", errors.New("EOF"), false)
	exhausted := newPushError("r.example/x:1", "EOF", errors.New("EOF"), true)
	denied := newPushError("r.example/x:1", "unauthorized", errors.New("unauthorized"), false)
	other := errors.New("no push")
	tests := []struct {
		name    string
		results []error // of the attempts; the last one of all that follow
		tried   int
		want    error
	}{
		{"success", []error{nil}, 1, nil},
		{"success in the end", []error{transient, transient, transient, transient, nil}, 5, nil},
		{"never", []error{transient}, 5, transient},
		{"the engine has tried", []error{exhausted}, 2, exhausted},
		{"the engine has tried, late", []error{transient, exhausted}, 2, exhausted},
		{"denied", []error{denied}, 1, denied},
		{"denied in the end", []error{transient, denied}, 2, denied},
		{"no push", []error{other}, 1, other},
	}
	for _, test := range tests {
		tried := 0
		err := pushRetry{attempts: 5, first: time.Microsecond}.do(t.Context(), ignoreStatus, func() error {
			tried++
			return test.results[min(tried, len(test.results))-1]
		})
		if tried != test.tried || !errors.Is(err, test.want) {
			t.Errorf("%s: %v after %d attempts, want %v after %d", test.name, err, tried, test.want, test.tried)
		}
	}
}

func TestPushRetryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	failure := newPushError("r.example/x:1", "EOF", errors.New("EOF"), false)
	tried := 0
	// The wait begins with progress, and would last for hours.
	err := pushRetry{attempts: 5, first: 100 * time.Hour}.do(ctx, func(*client.SolveStatus) { cancel() }, func() error {
		tried++
		return failure
	})
	if tried != 1 || !errors.Is(err, context.Canceled) || !errors.Is(err, failure) {
		t.Errorf("%v after %d attempts", err, tried)
	}
}

func ignoreStatus(*client.SolveStatus) {}
