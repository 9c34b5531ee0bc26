//go:build e2e

package runtime

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

// TestFunctionUpdates has a function updated, and updated with what cannot be
// loaded or installed, while 5,000 calls come: none of them is lost.
func TestFunctionUpdates(t *testing.T) {
	p := newPlace(t)
	url := p.deploy("updated", p.write("one.py", code("one")))
	l := startLoad(t, url)
	l.reach(l.count() + 500)
	p.must("update", "updated", "--from-file", p.write("two.py", code("two")))
	l.reach(l.count() + 500)
	p.fails(1, []string{"SyntaxError", "the function cannot be loaded"}, "update", "updated", "--from-file", p.write("broken.py", "def handler(:\n"))
	p.fails(1, []string{"No matching distribution", "the installation phase ended with exit code 1"},
		"update", "updated", "--dependencies", p.write("requirements.txt", "rtbuild-has-no-such-package==1\n"))
	l.reach(l.count() + 500)
	p.answers("updated", "two")
	for i := range 4 {
		p.must("update", "updated", "--env", fmt.Sprint("N=", i))
	}
	p.must("deploy", "updated", "--runtime", "python3.14", "--handler", "f.handler", "--from-file", p.write("three.py", code("three")))
	l.reach(max(5000, l.count()+500))
	l.end(t)
	for _, word := range []string{"one", "two", "three"} {
		if l.answers[word] == 0 {
			t.Errorf("no call was answered %q", word)
		}
	}
}

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
		l.ended.Go(func() {
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				l.call(&http.Client{Transport: transport, Timeout: time.Minute}, url)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return l
}

// call makes a call. It is a POST, which Go's client does not repeat by itself
// where a kept connection breaks.
func (l *load) call(client *http.Client, url string) {
	began := time.Now()
	status, body, err := postOf(client, url, "x")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if err == nil && status == http.StatusOK {
		l.answers[body]++
		return
	}
	l.lost = append(l.lost, fmt.Sprintf("%s after %v: %d %q %v", began.Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), status, strings.TrimSpace(body), err))
}

func postOf(client *http.Client, url, data string) (int, string, error) {
	response, err := client.Post(url, "text/plain", strings.NewReader(data))
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}

// reach waits until so many calls have been made.
func (l *load) reach(calls int) {
	for l.count() < calls {
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
