package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer is how many bytes of an answer to the proxy's own requests count.
const maxAnswer = 4 << 10

// Answer is a worker's answer to a request of the proxy's own.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Reuse  bool // whether the connection can serve a next call
}

// Ask sends a request without a body and reads the answer. The deadline of ctx
// holds; its cancellation does not interrupt.
func (c *Conn) Ask(ctx context.Context, r *Request) (Answer, error) {
	deadline, _ := ctx.Deadline() // the zero time is none
	if err := c.SetDeadline(deadline); err != nil {
		return Answer{}, fmt.Errorf("asking the worker: %w", err)
	}
	c.WriteHead(r.AppendHead(nil), r)
	if err := c.Flush(); err != nil {
		return Answer{}, err
	}
	resp, err := c.ReadResponse(r.Method, nil)
	if err != nil {
		return Answer{}, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("reading the worker's answer: %w", err)
	}
	reuse := len(body) <= maxAnswer && !resp.Close && c.Idle() && c.SetDeadline(time.Time{}) == nil
	return Answer{resp.StatusCode, resp.Header, body[:min(len(body), maxAnswer)], reuse}, nil
}
