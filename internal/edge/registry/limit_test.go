package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
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

// The client has the limits that its configuration says.
func TestLimitsAreWired(t *testing.T) {
	for configured, want := range map[int]int{5: 5, 0: defaultConcurrency} {
		retry := newRoundTripper(Config{Concurrency: configured}, newRetryPolicy(0, 0)).(*retryTransport)
		if n := cap(retry.inner.(*concurrencyTransport).slots.of("one.example")); n != want {
			t.Errorf("concurrency %d, want %d", n, want)
		}
	}
}
