package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// An endpoint is where a server listens: a network of package net and an
// address on it.
type endpoint struct{ network, address string }

// A load is one request, sent over and over by some callers at once: each
// sends the next when it has the answer to the last.
type load struct {
	name    string
	request []byte
}

// A result is what the callers saw. Latencies are of successful calls.
type result struct {
	PerSecond float64       `json:"requestsPerSecond"`
	P50       time.Duration `json:"p50"`
	P99       time.Duration `json:"p99"`
	Calls     int           `json:"calls"`
	Failures  int           `json:"failures"`
}

func newLoad(name, method, contentType string, body []byte) load {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s / HTTP/1.1\r\nHost: function\r\n", method)
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return load{name, b.Bytes()}
}

// run lets callers call for a while. The latencies of all calls are kept: some
// hundred thousand numbers.
func (l load) run(ctx context.Context, at endpoint, callers int, during time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	latencies := make([][]time.Duration, callers)
	failures := make([]int, callers)
	errs := make([]error, callers)
	var group sync.WaitGroup
	start := time.Now()
	for i := range callers {
		group.Go(func() { latencies[i], failures[i], errs[i] = l.caller(ctx, at) })
	}
	group.Wait()
	elapsed := time.Since(start)
	all := slices.Concat(latencies...)
	slices.Sort(all)
	r := result{Calls: len(all)}
	for _, n := range failures {
		r.Failures += n
	}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	if len(all) == 0 {
		return r, fmt.Errorf("%s: no call succeeded, %d failed", l.name, r.Failures)
	}
	r.PerSecond = float64(len(all)) / elapsed.Seconds()
	r.P50, r.P99 = all[len(all)/2], all[len(all)*99/100]
	return r, nil
}

// caller calls until the context is done, over one connection.
func (l load) caller(ctx context.Context, at endpoint) (latencies []time.Duration, failures int, err error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, at.network, at.address)
	if err != nil {
		return nil, 0, err
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.SetDeadline(time.Now()) })()
	reader := bufio.NewReaderSize(connection, 32<<10)
	for ctx.Err() == nil {
		start := time.Now()
		var ok bool
		if _, err = connection.Write(l.request); err == nil {
			ok, err = answer(reader)
		}
		switch {
		case ctx.Err() != nil:
			return latencies, failures, nil
		case err != nil:
			return latencies, failures, err
		case !ok:
			failures++
		default:
			latencies = append(latencies, time.Since(start))
		}
	}
	return latencies, failures, nil
}

// answer reads one response and tells whether its status is 200. Where the
// length is announced it is parsed by hand, so that the callers leave the
// machine to the server.
func answer(reader *bufio.Reader) (ok bool, err error) {
	head, err := peekHead(reader)
	if err != nil {
		return false, err
	}
	length := -1
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return false, err
			}
		}
	}
	if length < 0 {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode == http.StatusOK, err
	}
	ok = bytes.HasPrefix(head, []byte("HTTP/1.1 200 "))
	_, err = reader.Discard(len(head) + length)
	return ok, err
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
