package worker

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// callHeader has the call's ID, in the call and in the request to cancel it.
const callHeader = "X-Func-Call-Id"

// cancelWithin is how long a function may take to return once its context has
// ended. The proxy waits for a second.
const cancelWithin = 900 * time.Millisecond

// rememberFor is how long a call that was cancelled before it was read may take
// to arrive. Its connection is closed, so only a busy machine keeps it.
const rememberFor = time.Minute

// calls are those that run now, and those that must not start any more, by ID.
type calls struct {
	mu        sync.Mutex
	running   map[string]running
	cancelled map[string]bool
}

func newCalls() calls {
	return calls{running: map[string]running{}, cancelled: map[string]bool{}}
}

type running struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the function has returned
}

// began notes a call, unless it has been cancelled already; the function that
// it returns, that the call has ended.
func (c *calls) began(id string, cancel context.CancelFunc) (ended func(), ok bool) {
	if id == "" {
		return func() {}, true
	}
	call := running{cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancelled[id] {
		return nil, false
	}
	c.running[id] = call
	var once sync.Once
	return func() {
		once.Do(func() {
			c.mu.Lock()
			delete(c.running, id)
			c.mu.Unlock()
			close(call.done)
		})
	}, true
}

// cancel ends a call's context. The status that it returns is of the 2xx only
// when the function has returned, since nothing else stops a goroutine, or will
// not be called.
func (c *calls) cancel(id string) (status int) {
	c.mu.Lock()
	call, found := c.running[id]
	if !found {
		c.cancelled[id] = true
		time.AfterFunc(rememberFor, func() { c.forget(id) })
	}
	c.mu.Unlock()
	if !found {
		return http.StatusNoContent
	}
	call.cancel()
	select {
	case <-call.done:
		return http.StatusNoContent
	case <-time.After(cancelWithin):
		return http.StatusConflict
	}
}

func (c *calls) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cancelled, id)
}
