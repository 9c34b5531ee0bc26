package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// Begun is a call that was begun elsewhere and is to be ended here.
type Begun struct {
	Start    time.Time // when the request came
	Err      error     // the pool's refusal, or nil; then the rest holds
	Deadline time.Time // it had a worker

	// Of a call that the worker could not be reached for, none of these is set: it
	// has not begun, and waits for another worker before all that had none yet.
	Lease  *pool.Lease
	Conn   *upstream.Conn // the call was sent there
	Unsent []byte         // but for this
	ID     string         // of Lease.CallID
}

type begunKey struct{}

// WithBegun returns the context of a connection whose first request is the
// call that begun holds, if any. It is taken from there once it is served.
func WithBegun(ctx context.Context, begun *atomic.Pointer[Begun]) context.Context {
	return context.WithValue(ctx, begunKey{}, begun)
}

// Drop gives up a call that nobody serves.
func (b *Begun) Drop() {
	if b.Lease != nil {
		b.Conn.Close()
		b.Lease.Abandon(b.Deadline)
	}
}

// started is when a request came.
func started(ctx context.Context) time.Time {
	if begun, ok := ctx.Value(begunKey{}).(*atomic.Pointer[Begun]); ok {
		if b := begun.Load(); b != nil {
			return b.Start
		}
	}
	return time.Now()
}

// takeBegun returns the begun call of the connection's first request, else nil.
func takeBegun(ctx context.Context) *Begun {
	if begun, ok := ctx.Value(begunKey{}).(*atomic.Pointer[Begun]); ok {
		return begun.Swap(nil)
	}
	return nil
}

// resume ends a call that a worker has got.
func (g *Gateway) resume(w http.ResponseWriter, r *http.Request, b *Begun) outcome {
	c := &call{g: g, w: w, r: r, lease: b.Lease, conn: b.Conn, id: b.ID, deadline: b.Deadline, sent: true}
	defer c.giveUp()
	g.watch.add(c)
	// All of the body has come. Until it is read, net/http does not look
	// whether the client goes.
	buf := g.buffers.Get().(*[]byte)
	defer g.buffers.Put(buf)
	c.body.whole = (*buf)[:max(0, r.ContentLength)]
	if _, err := io.ReadFull(r.Body, c.body.whole); err != nil {
		return c.broken(fmt.Errorf("reading the request body again: %w", err))
	}
	_, _ = r.Body.Read(make([]byte, 1)) // its end, which net/http waits for
	c.conn.Write(b.Unsent)
	if err := c.conn.Flush(); err != nil {
		return c.broken(err)
	}
	return c.receive()
}
