package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/cloudevents"
)

// errTooLarge is the error of a body beyond FUNC_MAX_BODY.
var errTooLarge = errors.New("the request body is too large")

// body is a request's body: read already, or to be streamed.
type body struct {
	whole  []byte
	first  []byte    // of stream, read already; in buffer
	stream io.Reader // nil if whole is all
	length int64     // -1 if unknown
	buffer *[]byte   // whole may be inside
}

// capped ends a body with errTooLarge beyond left bytes.
type capped struct {
	src  io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// body prepares a body. A small one is read before a worker is taken, so that
// a slow client keeps none busy; a structured event is, as it must be unwrapped.
// The status is 0 unless the request must be refused.
func (g *Gateway) body(w http.ResponseWriter, r *http.Request) (body, int, error) {
	if r.Body == http.NoBody || r.ContentLength == 0 {
		cloudevents.Binary(r.Header)
		return body{}, 0, nil
	}
	if g.opt.MaxBody > 0 && r.ContentLength > g.opt.MaxBody {
		return body{}, http.StatusRequestEntityTooLarge, errTooLarge
	}
	b := body{stream: r.Body, length: r.ContentLength}
	if g.opt.MaxBody > 0 && r.ContentLength < 0 {
		b.stream = &capped{r.Body, g.opt.MaxBody}
	}
	if types := r.Header["Content-Type"]; len(types) > 0 && cloudevents.Structured(types[0]) {
		return g.event(w, r, b.stream)
	}
	cloudevents.Binary(r.Header)
	b.buffer = g.buffers.Get().(*[]byte)
	status, err := g.begin(w, r, &b)
	if err != nil {
		g.buffers.Put(b.buffer)
		b.buffer = nil
	}
	return b, status, err
}

// begin reads a body as far as its client must have sent it before it gets a
// worker: all of a small one, SmallBody bytes of a larger one, or, of one whose
// length is unknown, what comes first. More of that the client may hold back
// until it sees an answer.
func (g *Gateway) begin(w http.ResponseWriter, r *http.Request, b *body) (status int, err error) {
	if b.length < 0 {
		return g.within(w, func() error {
			n, err := 0, error(nil)
			for n == 0 && err == nil {
				n, err = b.stream.Read(*b.buffer)
			}
			b.first = (*b.buffer)[:n]
			if !errors.Is(err, io.EOF) {
				return err
			}
			if len(r.Trailer) == 0 {
				b.whole, b.first, b.stream = b.first, nil, nil
			}
			return nil
		})
	}
	first := (*b.buffer)[:min(b.length, SmallBody)]
	status, err = g.within(w, func() error {
		_, err := io.ReadFull(b.stream, first)
		return err
	})
	if b.length > SmallBody {
		b.first = first
	} else {
		b.whole, b.stream = first, nil
	}
	return status, err
}

// maxEvent is the largest structured event, in bytes: it is held in memory.
const maxEvent = 16 << 20

func (g *Gateway) event(w http.ResponseWriter, r *http.Request, stream io.Reader) (body, int, error) {
	var data bytes.Buffer
	stream = &capped{stream, maxEvent}
	status, err := g.within(w, func() error {
		_, err := data.ReadFrom(stream)
		return err
	})
	if err != nil {
		return body{}, status, err
	}
	whole, err := cloudevents.Unwrap(r.Header, data.Bytes())
	if err != nil {
		return body{}, http.StatusBadRequest, err
	}
	return body{whole: whole, length: int64(len(whole))}, 0, nil
}

// within reads with a time limit and says how to refuse a body that fails.
func (g *Gateway) within(w http.ResponseWriter, read func() error) (int, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(g.opt.BodyWithin)); err != nil {
		return http.StatusInternalServerError, fmt.Errorf("limiting the time to read the body: %w", err)
	}
	if err := read(); err != nil {
		return refusal(err), fmt.Errorf("reading the request body: %w", err)
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return http.StatusInternalServerError, fmt.Errorf("limiting the time to read the body: %w", err)
	}
	return 0, nil
}

// refusal is the status for an error of the client's body.
func refusal(err error) int {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusRequestTimeout
	default:
		return http.StatusBadRequest
	}
}
