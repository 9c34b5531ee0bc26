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

// calls are those that run now, by ID.
type calls struct {
	mu      sync.Mutex
	running map[string]running
}

type running struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the function has returned
}

// began notes a call; the function that it returns, that it has ended.
func (c *calls) began(id string, cancel context.CancelFunc) (ended func()) {
	if id == "" {
		return func() {}
	}
	call := running{cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	c.running[id] = call
	c.mu.Unlock()
	var once sync.Once
	return func() {
		once.Do(func() {
			c.mu.Lock()
			delete(c.running, id)
			c.mu.Unlock()
			close(call.done)
		})
	}
}

// cancel ends a call's context. The status that it returns is of the 2xx only
// when the function has returned: nothing else stops a goroutine.
func (c *calls) cancel(id string) (status int) {
	c.mu.Lock()
	call, found := c.running[id]
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
