package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"
)

func request(ctx context.Context, t *testing.T, host string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestConcurrencyPerHost(t *testing.T) {
	const limit = 3
	var mu sync.Mutex
	running, highest := map[string]int{}, map[string]int{}
	arrived, leave := make(chan struct{}, 100), make(chan struct{})
	transport := newConcurrencyTransport(roundTripper(func(req *http.Request) (*http.Response, error) {
		host := req.URL.Host
		mu.Lock()
		running[host]++
		highest[host] = max(highest[host], running[host])
		mu.Unlock()
		arrived <- struct{}{}
		<-leave
		mu.Lock()
		running[host]--
		mu.Unlock()
		return status(200, ""), nil
	}), limit)
	var group sync.WaitGroup
	for _, host := range []string{"one.example", "two.example"} {
		for range 4 * limit {
			req := request(t.Context(), t, host)
			group.Go(func() {
				if _, err := transport.RoundTrip(req); err != nil {
					t.Error(err)
				}
			})
		}
	}
	// Each host's limit is reached, so neither takes the other's places.
	for range 2 * limit {
		<-arrived
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := transport.RoundTrip(request(ctx, t, "one.example")); !errors.Is(err, context.Canceled) {
		t.Errorf("while waiting for a place: %v", err)
	}
	close(leave)
	group.Wait()
	for host, n := range highest {
		if n != limit {
			t.Errorf("%s: %d at once, want %d", host, n, limit)
		}
	}
}

func TestRatePerHost(t *testing.T) {
	calls := 0
	transport := newRateTransport(roundTripper(func(*http.Request) (*http.Response, error) {
		calls++
		return status(200, ""), nil
	}), 2)
	var waited time.Duration
	transport.sleep = func(ctx context.Context, d time.Duration) error {
		waited = d
		return ctx.Err()
	}
	for range 12 {
		if _, err := transport.RoundTrip(request(t.Context(), t, "one.example")); err != nil {
			t.Fatal(err)
		}
	}
	// Two may pass at once, and ten more take five seconds, less what the test
	// itself took.
	if waited <= 0 || waited > 5*time.Second {
		t.Errorf("the twelfth waits %v, want at most 5s", waited)
	}
	waited = 0
	if _, err := transport.RoundTrip(request(t.Context(), t, "two.example")); err != nil || waited != 0 {
		t.Errorf("another host waits %v: %v", waited, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := calls
	if _, err := transport.RoundTrip(request(ctx, t, "one.example")); !errors.Is(err, context.Canceled) || calls != before {
		t.Errorf("cancelled: %v", err)
	}
}

// The client has the limits that its configuration says.
func TestLimitsAreWired(t *testing.T) {
	retry := newRoundTripper(Config{Concurrency: 5, Rate: 3}, newRetryPolicy(0, 0)).(*retryTransport)
	spaced, ok := retry.inner.(*rateTransport)
	if !ok {
		t.Fatalf("within the retries: %T", retry.inner)
	}
	if limit := spaced.limiters.of("one.example").Limit(); limit != 3 {
		t.Errorf("rate %v", limit)
	}
	if n := cap(spaced.inner.(*concurrencyTransport).slots.of("one.example")); n != 5 {
		t.Errorf("concurrency %d", n)
	}
	retry = newRoundTripper(Config{}, newRetryPolicy(0, 0)).(*retryTransport)
	if n := cap(retry.inner.(*concurrencyTransport).slots.of("one.example")); n != defaultConcurrency {
		t.Errorf("default concurrency %d", n)
	}
}
