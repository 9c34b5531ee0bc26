package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A load calls a function all the time: half of the calls each on a connection of
// its own, half on connections that are kept.
type load struct {
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu    sync.Mutex
	calls int
	// answers counts bodies, lost are what went wrong.
	answers map[string]int
	lost    []string
}

// startLoad calls url every few milliseconds until end.
func startLoad(t *testing.T, url string) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, answers: map[string]int{}}
	for i := range 4 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0, MaxIdleConnsPerHost: 1}
		l.ended.Add(1)
		go func() {
			defer l.ended.Done()
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				l.call(ctx, &http.Client{Transport: transport, Timeout: time.Minute}, url)
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	return l
}

// call makes a call. It is a POST, which Go's client does not repeat by itself
// where a kept connection breaks.
func (l *load) call(ctx context.Context, client *http.Client, url string) {
	began := time.Now()
	status, body, err := post(context.WithoutCancel(ctx), client, url)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if err == nil && status == http.StatusOK {
		l.answers[body]++
		return
	}
	l.lost = append(l.lost, fmt.Sprintf("%s after %v: %d %q %v", began.Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), status, strings.TrimSpace(body), err))
}

func post(ctx context.Context, client *http.Client, url string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}

// reach waits until so many calls have been made.
func (l *load) reach(calls int) {
	for {
		l.mu.Lock()
		reached := l.calls >= calls
		l.mu.Unlock()
		if reached {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// count is how many calls have been made.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// end stops the load and reports calls that were lost.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.ended.Wait()
	if len(l.lost) > 0 {
		t.Errorf("%d of %d calls lost:\n%s", len(l.lost), l.calls, strings.Join(l.lost[:min(len(l.lost), 20)], "\n"))
	}
	t.Logf("%d calls, answers %v", l.calls, l.answers)
}
