package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// redialPause keeps clients that lost their connection from taking the
	// machine from the server.
	redialPause = 10 * time.Millisecond
	// lastCallLimit is how long clients wait for the answers to their last
	// calls. They do not count, but a server that still works on them would be
	// slower in the next measurement.
	lastCallLimit = 10 * time.Second
)

// An endpoint is where a server listens: a network of package net and an
// address on it.
type endpoint struct{ network, address string }

// A load is one request, sent over and over by some clients at once: each
// sends the next when it has the answer to the last.
type load struct {
	name, method, contentType string
	body                      []byte
	// request is all of it as it is sent.
	request []byte
}

// A result is what the clients saw. Latencies are of successful calls; calls
// that had no answer when the time was up count as neither.
type result struct {
	perSecond       float64
	p50, p99        time.Duration
	calls, failures int
	// failure is one of the failures, or nil.
	failure error
}

func newLoad(name, method, contentType string, body []byte) load {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s / HTTP/1.1\r\nHost: function\r\n", method)
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return load{name, method, contentType, body, b.Bytes()}
}

// run lets clients call for a while, first for warmUp, then during the time
// whose answers count. The latencies of all calls are kept: some hundred
// thousand numbers. That no call succeeded is an error, and so is an end of the
// context before that time.
func (l load) run(ctx context.Context, at endpoint, clients int, warmUp, during time.Duration) (result, error) {
	begin := time.Now().Add(warmUp)
	end := begin.Add(during)
	limited, cancel := context.WithDeadline(ctx, end.Add(lastCallLimit))
	defer cancel()
	seen := make([]tally, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() { seen[i] = l.call(limited, at, begin, end) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	var all []time.Duration
	r := result{}
	for _, t := range seen {
		all = append(all, t.latencies...)
		r.failures += t.failures
		if r.failure == nil {
			r.failure = t.failure
		}
	}
	if len(all) == 0 && r.failure == nil {
		return r, fmt.Errorf("no answer within %s", during)
	}
	if len(all) == 0 {
		return r, fmt.Errorf("all calls failed, %d of them: %w", r.failures, r.failure)
	}
	slices.Sort(all)
	r.calls = len(all)
	r.perSecond = float64(len(all)) / during.Seconds()
	r.p50, r.p99 = all[len(all)/2], all[len(all)*99/100]
	return r, nil
}

// A tally is what one client saw.
type tally struct {
	latencies []time.Duration
	failures  int
	failure   error
}

// call calls until end, or until ctx is done, and counts the answers from begin
// on.
func (l load) call(ctx context.Context, at endpoint, begin, end time.Time) tally {
	var t tally
	c := client{at: at}
	defer c.hangUp()
	for start := time.Now(); start.Before(end); start = time.Now() {
		status, err := c.call(ctx, l.request)
		answered := time.Now()
		if ctx.Err() != nil || answered.After(end) {
			break
		}
		if err != nil {
			time.Sleep(redialPause)
		} else if status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		switch {
		case answered.Before(begin):
		case err == nil:
			t.latencies = append(t.latencies, answered.Sub(start))
		default:
			t.failures++
			t.failure = cmp.Or(t.failure, err)
		}
	}
	return t
}

// A client keeps one connection, and makes another where the server closed it.
type client struct {
	at         endpoint
	connection net.Conn
	reader     *bufio.Reader
	// forget ends the context's hold on the connection.
	forget func() bool
}

// call sends a request and returns the answer's status. It ends when ctx does.
func (c *client) call(ctx context.Context, request []byte) (int, error) {
	if c.connection == nil {
		if err := c.dial(ctx); err != nil {
			return 0, err
		}
	}
	_, err := c.connection.Write(request)
	status, last := 0, false
	if err == nil {
		status, last, err = answer(c.reader)
	}
	if err != nil || last {
		c.hangUp()
	}
	return status, err
}

func (c *client) dial(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, c.at.network, c.at.address)
	if err != nil {
		return err
	}
	c.connection, c.reader = connection, bufio.NewReaderSize(connection, 32<<10)
	// An error of SetDeadline means that the connection is closed already.
	c.forget = context.AfterFunc(ctx, func() { _ = connection.SetDeadline(time.Now()) })
	return nil
}

func (c *client) hangUp() {
	if c.connection != nil {
		c.forget()
		c.connection.Close()
		c.connection = nil
	}
}

// answer reads one response: its status, and whether it is the connection's
// last. Where the length is announced it is parsed by hand, so that the clients
// leave the machine to the server.
func answer(reader *bufio.Reader) (status int, last bool, err error) {
	head, err := peekHead(reader)
	if err != nil {
		return 0, false, err
	}
	length := -1
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, fmt.Errorf("Content-Length: %w", err)
			}
		case bytes.EqualFold(name, []byte("connection")):
			last = bytes.EqualFold(value, []byte("close"))
		}
	}
	if length < 0 {
		return answerInParts(reader)
	}
	words := bytes.SplitN(head, []byte(" "), 3)
	if len(words) < 3 {
		return 0, false, fmt.Errorf("%q is not an HTTP response", head)
	}
	if status, err = strconv.Atoi(string(words[1])); err != nil {
		return 0, false, fmt.Errorf("status: %w", err)
	}
	_, err = reader.Discard(len(head) + length)
	return status, last, err
}

func answerInParts(reader *bufio.Reader) (status int, last bool, err error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Close, err
}

// peekHead is the response's head with its empty line, still unread.
func peekHead(reader *bufio.Reader) ([]byte, error) {
	for n := 1; ; n = reader.Buffered() + 1 {
		if _, err := reader.Peek(n); err != nil {
			return nil, err
		}
		seen, err := reader.Peek(reader.Buffered())
		if err != nil {
			return nil, err
		}
		if end := bytes.Index(seen, []byte("\r\n\r\n")); end >= 0 {
			return seen[:end+4], nil
		}
	}
}
