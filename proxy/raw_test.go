package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// raw is a worker that answers what its client tells it to, byte by byte, and
// shows what it was sent. TEST_RAW=1 chooses it.
func raw(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in := bufio.NewReader(c)
			for err := error(nil); err == nil; {
				err = rawCall(c, in)
			}
		}()
	}
}

// script is the target of a call that is answered by these steps, each of
// which is text to send, in Latin-1, or one of the commands of rawStep.
func script(steps ...string) string {
	text, err := json.Marshal(steps)
	if err != nil {
		panic(err)
	}
	return "/script?" + url.QueryEscape(string(text))
}

func rawCall(c net.Conn, in *bufio.Reader) error {
	head, err := rawHead(in)
	if err != nil {
		return err
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return err
	}
	switch r.URL.Path {
	case "/_health":
		_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Func-Concurrency: %s\r\nContent-Length: 0\r\n\r\n", os.Getenv("TEST_RAW"))
		return err
	case "/script":
		text, err := url.QueryUnescape(r.URL.RawQuery)
		if err != nil {
			return err
		}
		var steps []string
		if err := json.Unmarshal([]byte(text), &steps); err != nil {
			return err
		}
		for _, step := range steps {
			if err := rawStep(c, r, in, step); err != nil {
				return err
			}
		}
		return nil
	}
	rest, err := rawBody(r, in)
	if err != nil {
		return err
	}
	seen := string(head) + rest
	_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(seen))
	if err == nil && r.Method != http.MethodHead {
		_, err = io.WriteString(c, seen)
	}
	return err
}

// rawHead reads up to the empty line.
func rawHead(in *bufio.Reader) ([]byte, error) {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		head = append(head, line...)
	}
	return head, nil
}

// rawBody reads a body as it was sent, chunks and trailers included.
func rawBody(r *http.Request, in *bufio.Reader) (string, error) {
	if len(r.TransferEncoding) == 0 {
		body := make([]byte, max(0, r.ContentLength))
		_, err := io.ReadFull(in, body)
		return string(body), err
	}
	var body []byte
	for size := int64(1); size > 0; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return "", err
		}
		if size, err = strconv.ParseInt(strings.TrimSpace(string(line)), 16, 64); err != nil {
			return "", err
		}
		data := make([]byte, size+2)
		if size == 0 {
			trailer, err := rawTrailer(in)
			return string(body) + trailer, err
		}
		if _, err := io.ReadFull(in, data); err != nil {
			return "", err
		}
		body = append(append(body, line...), data...)
	}
	return string(body), nil
}

func rawTrailer(in *bufio.Reader) (string, error) {
	for trailer := "0\r\n"; ; {
		line, err := in.ReadString('\n')
		trailer += line
		if err != nil || line == "\r\n" {
			return trailer, err
		}
	}
}

// rawStep does a step of a script: reads the body ("@read"), pauses ("@sleep
// 0.1"), ends the connection ("@close") or the process ("@exit"), sends many
// bytes ("@fill 1000") or headers ("@headers 1000"), or sends the text itself.
func rawStep(c net.Conn, r *http.Request, in *bufio.Reader, step string) error {
	command, argument, _ := strings.Cut(step, " ")
	switch command {
	case "@read":
		_, err := rawBody(r, in)
		return err
	case "@sleep":
		s, err := strconv.ParseFloat(argument, 64)
		time.Sleep(time.Duration(s * float64(time.Second)))
		return err
	case "@close":
		return io.EOF
	case "@exit":
		os.Exit(3)
	case "@fill", "@headers":
		n, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		text := strings.Repeat("x", n)
		if command == "@headers" {
			text = ""
			for i := range n {
				text += fmt.Sprintf("X-%d: v\r\n", i)
			}
		}
		_, err = io.WriteString(c, text)
		return err
	}
	data := make([]byte, 0, len(step))
	for _, char := range step {
		data = append(data, byte(char))
	}
	_, err := c.Write(data)
	return err
}
