// Package retry is an HTTP transport that tries again, for the edges that speak
// HTTP.
package retry

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

// The bounds of trying again.
const (
	// defaultTries is how many more times a request is tried.
	defaultTries = 5
	// defaultBase makes waits of below 0.5, 1, 2, 4 and 8 seconds, so at most 15.5
	// seconds together.
	defaultBase = 500 * time.Millisecond
	// maxWait bounds each wait. A server that asks for a longer one in
	// Retry-After (Docker Hub's limits last for hours) is not asked again.
	maxWait = 30 * time.Second
	// maxTime bounds the time from a request's first try to the start of its last.
	maxTime = 2 * time.Minute
	// maxWholeAnswer is how much of an answer's body is read before the answer
	// counts as had. Manifests, configurations and tokens are smaller; the rest
	// of a larger body is passed on as it comes.
	maxWholeAnswer = 4 << 20
)

// errPassing stands for an answer whose status may be another one later.
var errPassing = errors.New("a failure that may pass")

// waits are those between the tries of one request: exponential backoff with full
// jitter, on top of the time that the server asked for.
type waits struct {
	backoff.ExponentialBackOff
	asked time.Duration
}

// NextBackOff implements backoff.BackOff.
func (w *waits) NextBackOff() time.Duration {
	if w.asked > maxWait {
		return backoff.Stop
	}
	return w.asked + w.ExponentialBackOff.NextBackOff()
}

// A Transport repeats requests that failed in a way that may pass: 408, 429, 500,
// 502, 503, 504, a connection that is reset or ends early, a time-out. What
// decides is the kind of failure: a refusal (401, 403, 404) is never repeated,
// nor is a connection that was refused or a certificate that is not trusted. A
// body is sent again where the request can give it again (GetBody).
//
// net/http by itself sends a request once more, and at once, where a kept
// connection turns out to have been closed; that is left to it.
type Transport struct {
	inner http.RoundTripper
	tries uint
	base  time.Duration
}

// New makes a Transport. tries is how many more times a request is tried: zero
// means 5, below zero none. base is what the first wait stays below; it doubles
// with each further one. Zero means half a second. What a server asks for in
// Retry-After comes on top, unless it is more than 30 seconds: then the request
// fails at once. No try starts later than two minutes after the first.
func New(inner http.RoundTripper, tries int, base time.Duration) *Transport {
	if tries == 0 {
		tries = defaultTries
	}
	if base <= 0 {
		base = defaultBase
	}
	return &Transport{inner: inner, tries: 1 + uint(max(tries, 0)), base: base}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	// Intervals are the middles of what is waited.
	waits := &waits{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: t.base / 2, RandomizationFactor: 1, Multiplier: 2, MaxInterval: maxWait / 2,
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
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(t.tries), backoff.WithMaxElapsedTime(maxTime))
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

// retryAfter is how long the server asks to wait (RFC 9110, 10.2.3: seconds,
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
