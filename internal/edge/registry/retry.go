package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
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

// A retryPolicy says whether and when to try again.
type retryPolicy struct {
	retries int
	base    time.Duration
	now     func() time.Time
	// sleep returns ctx's error as soon as ctx ends.
	sleep func(ctx context.Context, d time.Duration) error
	// jitter returns a duration from 0 up to below, not including it.
	jitter func(below time.Duration) time.Duration
}

func newRetryPolicy(retries int, base time.Duration) retryPolicy {
	switch {
	case retries == 0:
		retries = defaultRetries
	case retries < 0:
		retries = 0
	}
	if base <= 0 {
		base = defaultRetryBase
	}
	return retryPolicy{retries: retries, base: base, now: time.Now, sleep: sleep, jitter: rand.N[time.Duration]}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tries are those of one request.
type tries struct {
	policy retryPolicy
	began  time.Time
	failed int
}

func (p retryPolicy) start() *tries {
	return &tries{policy: p, began: p.now()}
}

// again is called after a failure. It waits and returns true if there is to be
// another try: exponential backoff with full jitter, on top of the time that
// the registry asked for. The error is ctx's.
func (t *tries) again(ctx context.Context, asked time.Duration) (bool, error) {
	t.failed++
	if t.failed > t.policy.retries || asked > maxRetryWait {
		return false, nil
	}
	ceiling := t.policy.base
	for n := 1; n < t.failed && ceiling < maxRetryWait; n++ {
		ceiling *= 2
	}
	wait := asked + t.policy.jitter(min(ceiling, maxRetryWait))
	if t.policy.now().Sub(t.began)+wait > maxRetryTime {
		return false, nil
	}
	if err := t.policy.sleep(ctx, wait); err != nil {
		return false, err
	}
	return true, nil
}

// retryTransport repeats requests that failed in a way that may pass. What
// decides is the kind of failure: a refusal (401, 403, 404) is never repeated,
// nor is a connection that was refused or a certificate that is not trusted.
//
// net/http by itself sends a request once more, and at once, where a kept
// connection turns out to have been closed; that is left to it.
type retryTransport struct {
	inner  http.RoundTripper
	policy retryPolicy
}

// RoundTrip implements http.RoundTripper.
func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	tries := t.policy.start()
	for next := req; ; {
		resp, err := t.inner.RoundTrip(next)
		if err == nil {
			resp, err = readWhole(resp)
		}
		if !mayPass(resp, err) || ctx.Err() != nil {
			return resp, err
		}
		if !replayable(req) {
			return resp, err
		}
		again, waitErr := tries.again(ctx, t.policy.retryAfter(resp))
		if !again && waitErr == nil {
			return resp, err
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
		if waitErr != nil {
			return nil, waitErr
		}
		if next, err = replay(req); err != nil {
			return nil, err
		}
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
func (p retryPolicy) retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(p.now()))
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
