package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

func checkParallel(ctx context.Context, t *trial) (string, error) {
	const calls, sleep, bound = 32, 2, 20 * time.Second
	began := time.Now()
	errs := t.sleepTogether(ctx, calls, sleep)
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return "", fmt.Errorf("of %d calls at once: %w", calls, err)
		}
	}
	said := fmt.Sprintf("%d calls that sleep %d s took %.1f s", calls, sleep, took.Seconds())
	if took > bound {
		return "", fmt.Errorf("%s, want %s at most", said, bound)
	}
	return said, nil
}

// sleepTogether has so many calls sleep at once. The errors are theirs, nil for
// those that were answered as they should.
func (t *trial) sleepTogether(ctx context.Context, calls int, seconds float64) []error {
	errs := make([]error, calls)
	var running sync.WaitGroup
	for i := range calls {
		running.Go(func() {
			_, errs[i] = t.server.expect(ctx, do("sleep", map[string]any{"seconds": seconds}), http.StatusOK, "slept")
		})
	}
	running.Wait()
	return errs
}

// maxErrorBody is what a short body for people may have: a trace has more.
const maxErrorBody = 500

func checkException(ctx context.Context, t *trial) (string, error) {
	a, err := t.server.call(ctx, do("fail", nil))
	if err != nil {
		return "", err
	}
	if a.status != http.StatusInternalServerError {
		return "", a.unlike("500")
	}
	if len(a.body) > maxErrorBody || strings.Count(strings.TrimSpace(a.body), "\n") > 2 {
		return "", a.unlike("500 with a short body; the trace belongs into the log")
	}
	const message = "contract: failing on purpose"
	err = t.server.awaitLog(ctx, func(output containers.Output) error {
		if strings.Contains(output.Stderr+output.Stdout, message) {
			return nil
		}
		return fmt.Errorf("want %q in the log after an exception", message)
	})
	if err != nil {
		return "", err
	}
	return checkGet(ctx, t)
}

func checkExit(ctx context.Context, t *trial) (string, error) { return "", t.survives(ctx, "exit") }

func checkCrash(ctx context.Context, t *trial) (string, error) { return "", t.survives(ctx, "crash") }

// survives wants an error for a call that ends the function's process, and an
// answer for the next.
func (t *trial) survives(ctx context.Context, what string) error {
	s, err := t.startContract(ctx)
	if err != nil {
		return err
	}
	a, err := s.call(ctx, do(what, nil))
	if err != nil {
		return err
	}
	if a.status/100 != 5 {
		return a.unlike("5xx")
	}
	if _, err := checkGet(ctx, t); err != nil {
		return fmt.Errorf("the call after %s: %w", a.request, err)
	}
	return s.alive(ctx)
}

func checkFlood(ctx context.Context, t *trial) (string, error) {
	const size = 2 << 20
	if _, err := t.server.expect(ctx, do("flood", map[string]any{"bytes": size}), http.StatusOK, "flooded"); err != nil {
		return "", err
	}
	return checkGet(ctx, t)
}

// lateAnswer bounds how much later than FUNC_TIMEOUT a 408 may come, on a
// machine that has other things to do.
const lateAnswer = 8 * time.Second

func checkTimeout(ctx context.Context, t *trial) (string, error) {
	return t.timesOut(ctx, do("sleep", map[string]any{"seconds": 40}))
}

func checkTimeoutBusy(ctx context.Context, t *trial) (string, error) {
	return t.timesOut(ctx, do("spin", nil))
}

// timesOut wants a call to end with 408 in time, and the next to be answered.
func (t *trial) timesOut(ctx context.Context, r request) (string, error) {
	a, err := t.overTime(ctx, r)
	if err != nil {
		return "", err
	}
	if err := t.server.recovers(ctx); err != nil {
		return "", fmt.Errorf("after the call that timed out: %w", err)
	}
	return fmt.Sprintf("408 after %.2f s of %d", a.took.Seconds(), limitSeconds), nil
}

// recoverLimit is how long a server may ask callers to come again after it has
// stopped a call. With a time limit of seconds, calls that wait for a new worker
// on a busy machine may run into it.
const recoverLimit = 30 * time.Second

// recovers wants the next call to be answered, or the next after 503s.
func (s *server) recovers(ctx context.Context) error {
	for deadline := time.Now().Add(recoverLimit); ; {
		a, err := s.call(ctx, request{})
		switch {
		case err != nil:
			return err
		case a.status == http.StatusOK && a.body == greeting:
			return nil
		case a.status != http.StatusServiceUnavailable || time.Now().After(deadline):
			return a.unlike("200 %q", greeting)
		}
		if err := pause(ctx, pollPause); err != nil {
			return err
		}
	}
}

func (t *trial) overTime(ctx context.Context, r request) (answer, error) {
	const limit = limitSeconds * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit+lateAnswer)
	defer cancel()
	a, err := t.server.call(ctx, r)
	switch {
	case ctx.Err() != nil:
		return a, fmt.Errorf("%s: want 408 after FUNC_TIMEOUT, %d s, got no answer in %s", r, limitSeconds, limit+lateAnswer)
	case err != nil:
		return a, err
	case a.status != http.StatusRequestTimeout:
		return a, a.unlike("408 after FUNC_TIMEOUT, %d s", limitSeconds)
	case a.took < limit*9/10:
		return a, fmt.Errorf("%s: want 408 after FUNC_TIMEOUT, %d s, got it after %.2f s", r, limitSeconds, a.took.Seconds())
	}
	return a, nil
}

// checkTimeoutNeighbours keeps calls going from before the time-out until
// after it.
func checkTimeoutNeighbours(ctx context.Context, t *trial) (string, error) {
	const neighbours = 3
	if err := t.warm(ctx, 1+neighbours); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	var running sync.WaitGroup
	var victim error
	running.Go(func() {
		defer close(ended)
		_, victim = t.overTime(ctx, do("sleep", map[string]any{"seconds": 40}))
	})
	errs := make([]error, neighbours)
	counts := make([]int, neighbours)
	for i := range neighbours {
		running.Go(func() { counts[i], errs[i] = t.neighbour(ctx, ended) })
	}
	running.Wait()
	if victim != nil {
		return "", victim
	}
	if err := errors.Join(errs...); err != nil {
		return "", fmt.Errorf("beside a call that times out: %w", err)
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	return fmt.Sprintf("%d calls beside it", total), nil
}

// warmWithin is how long a busy machine may take to start workers, each of
// which may take longer than FUNC_TIMEOUT.
const warmWithin = time.Minute

// warm calls until so many calls at once are answered: a call that waits for
// the start of a worker is not what is checked.
func (t *trial) warm(ctx context.Context, calls int) error {
	for deadline := time.Now().Add(warmWithin); ; {
		err := errors.Join(t.sleepTogether(ctx, calls, 0.4)...)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("%d calls at once: %w", calls, err)
		}
	}
}

// neighbour calls until one began after the other call has ended.
func (t *trial) neighbour(ctx context.Context, ended <-chan struct{}) (calls int, err error) {
	for last := false; !last; calls++ {
		select {
		case <-ended:
			last = true
		default:
		}
		if _, err := t.server.expect(ctx, do("sleep", map[string]any{"seconds": 0.4}), http.StatusOK, "slept"); err != nil {
			return calls, err
		}
	}
	return calls, nil
}
