package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The bounds of trying again. A request is tried once and then at most
// Config.Retries times.
const (
	// defaultRetries is Config.Retries where that is zero.
	defaultRetries = 5
	// defaultRetryBase is Config.RetryBase where that is zero. The five waits
	// are below 0.5, 1, 2, 4 and 8 seconds, so at most 15.5 seconds together.
	defaultRetryBase = 500 * time.Millisecond
	// maxRetryWait bounds each wait. A registry that asks for a longer one in
	// Retry-After (Docker Hub's limits last for hours) is not asked again.
	maxRetryWait = 30 * time.Second
	// maxRetryTime bounds the time from a request's first try to the start of
	// its last.
	maxRetryTime = 2 * time.Minute
	// maxWholeAnswer is how much of an answer's body is read before the answer
	// counts as had. Manifests, configurations and tokens are smaller; the rest
	// of a larger body is passed on as it comes.
	maxWholeAnswer = 4 << 20
)

// errPassing stands for an answer whose status may be another one later.
var errPassing = errors.New("a failure that may pass")

// waits are those between the tries of one request: exponential backoff with full
// jitter, on top of the time that the registry asked for.
type waits struct {
	backoff.ExponentialBackOff
	asked time.Duration
}

// NextBackOff implements backoff.BackOff.
func (w *waits) NextBackOff() time.Duration {
	if w.asked > maxRetryWait {
		return backoff.Stop
	}
	return w.asked + w.ExponentialBackOff.NextBackOff()
}

// retryTransport repeats requests that failed in a way that may pass. What
// decides is the kind of failure: a refusal (401, 403, 404) is never repeated,
// nor is a connection that was refused or a certificate that is not trusted.
//
// net/http by itself sends a request once more, and at once, where a kept
// connection turns out to have been closed; that is left to it.
type retryTransport struct {
	inner http.RoundTripper
	tries uint
	base  time.Duration
}

// newRetryTransport takes Config's Retries and RetryBase.
func newRetryTransport(inner http.RoundTripper, retries int, base time.Duration) *retryTransport {
	if retries == 0 {
		retries = defaultRetries
	}
	if base <= 0 {
		base = defaultRetryBase
	}
	return &retryTransport{inner: inner, tries: 1 + uint(max(retries, 0)), base: base}
}

// RoundTrip implements http.RoundTripper.
func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	// Intervals are the middles of what is waited.
	waits := &waits{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: t.base / 2, RandomizationFactor: 1, Multiplier: 2, MaxInterval: maxRetryWait / 2,
	}}
	var failed *http.Response
	next := req
	resp, err := backoff.Retry(req.Context(), func() (*http.Response, error) {
		if next == nil {
			discard(failed)
			var err error
			if next, err = replay(req); err != nil {
				return nil, backoff.Permanent(err)
			}
		}
		resp, err := t.inner.RoundTrip(next)
		if err == nil {
			resp, err = readWhole(resp)
		}
		if !mayPass(resp, err) {
			return resp, backoff.Permanent(err)
		}
		failed, next, waits.asked = resp, nil, retryAfter(resp)
		if err == nil {
			err = errPassing
		}
		if !replayable(req) {
			return resp, backoff.Permanent(err)
		}
		return resp, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(t.tries), backoff.WithMaxElapsedTime(maxRetryTime))
	if errors.Is(err, errPassing) {
		return resp, nil
	}
	if err != nil {
		discard(resp)
		return nil, err
	}
	return resp, nil
}

// discard is for an answer that nobody reads; nil for none.
func discard(resp *http.Response) {
	if resp != nil {
		_ = resp.Body.Close()
	}
}

// readWhole reads the answer's body, so that one that is cut off counts as a
// failed request rather than as a surprise to who reads it.
func readWhole(resp *http.Response) (*http.Response, error) {
	start, err := io.ReadAll(io.LimitReader(resp.Body, maxWholeAnswer))
	if err != nil {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(start) < maxWholeAnswer {
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(start))
		return resp, nil
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	return resp, nil
}

// mayPass tells whether the same request may succeed later.
func mayPass(resp *http.Response, err error) bool {
	if err != nil {
		var network net.Error
		// net.ErrClosed: net/http closed the connection under a body that was
		// being sent, since reading from it had failed.
		return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) ||
			errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
			errors.As(err, &network) && network.Timeout()
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is how long the registry asks to wait (RFC 9110, 10.2.3: seconds,
// or an HTTP date); zero if it does not say, or not in a way that can be read.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}

func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// replay is req, to be sent again.
func replay(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.GetBody == nil {
		return again, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("reading the request's body again: %w", err)
	}
	again.Body = body
	return again, nil
}
