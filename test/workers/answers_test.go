package workers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// order is what a test function is told to do.
type order struct {
	Kind    string      `json:"kind"`
	Status  any         `json:"status,omitempty"`
	Headers [][2]string `json:"headers,omitempty"`
	Body    string      `json:"body,omitempty"`
}

// answer is one as it was on the wire.
type answer struct {
	status int
	fields [][2]string
	body   string
}

func (a answer) get(name string) string {
	for _, f := range a.fields {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

var (
	statusLine = regexp.MustCompile(`^HTTP/1\.1 ([2-5][0-9]{2}) [ -~]*\r\n$`)
	fieldLine  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\\t -~]*)\r\n$")
)

// readAnswer reads one answer by the letter of RFC 9112: an error where
// anything is not as it has to be.
func readAnswer(from *bufio.Reader, method string) (a answer, err error) {
	line, err := from.ReadString('\n')
	match := statusLine.FindStringSubmatch(line)
	if match == nil {
		return a, fmt.Errorf("status line %q, %w", line, err)
	}
	a.status, _ = strconv.Atoi(match[1])
	framing := map[string]string{}
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return a, fmt.Errorf("the head breaks off: %w", err)
		}
		if line == "\r\n" {
			break
		}
		match := fieldLine.FindStringSubmatch(line)
		if match == nil {
			return a, fmt.Errorf("header line %q", line)
		}
		a.fields = append(a.fields, [2]string{match[1], match[2]})
		switch name := strings.ToLower(match[1]); name {
		case "content-length", "transfer-encoding":
			if _, found := framing[name]; found {
				return a, fmt.Errorf("two headers %s", name)
			}
			framing[name] = match[2]
		}
	}
	length, sized := framing["content-length"]
	coding, coded := framing["transfer-encoding"]
	switch without := a.status == 204 || a.status == 304; {
	case sized && coded, without && coded, a.status == 204 && sized, coded && coding != "chunked", !without && method != "HEAD" && !sized && !coded:
		return a, fmt.Errorf("status %d with framing %q", a.status, framing)
	case without, method == "HEAD":
		return a, nil
	case sized:
		n, err := strconv.Atoi(length)
		if err != nil {
			return a, err
		}
		body := make([]byte, n)
		_, err = io.ReadFull(from, body)
		a.body = string(body)
		return a, err
	}
	a.body, err = readChunks(from)
	return a, err
}

func readChunks(from *bufio.Reader) (string, error) {
	var body bytes.Buffer
	for {
		line, err := from.ReadString('\n')
		size, bad := strconv.ParseUint(strings.TrimSuffix(line, "\r\n"), 16, 31)
		if err != nil || bad != nil {
			return body.String(), fmt.Errorf("chunk size %q, %w", line, err)
		}
		if _, err := io.CopyN(&body, from, int64(size)); err != nil {
			return body.String(), err
		}
		end := make([]byte, 2)
		if _, err := io.ReadFull(from, end); err != nil || string(end) != "\r\n" {
			return body.String(), fmt.Errorf("chunk ends with %q, %w", end, err)
		}
		if size == 0 {
			return body.String(), nil
		}
	}
}

// give tells the function what to answer, and then makes another call on the
// same connection: it must get its own answer, whatever came before.
func (w *worker) give(t *testing.T, method string, o order) (answer, error) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	conn := w.dial(t)
	defer conn.Close()
	from := bufio.NewReader(conn)
	fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: a\r\nEvent-Type: %s\r\n\r\n", method, ascii(text))
	a, err := readAnswer(from, method)
	if err == nil && !strings.EqualFold(a.get("Connection"), "close") {
		w.next(t, conn, from)
	}
	return a, err
}

func (w *worker) next(t *testing.T, conn net.Conn, from *bufio.Reader) {
	t.Helper()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nEvent-Id: next\r\n\r\n")
	if next, err := readAnswer(from, "GET"); err != nil || next.status != 200 || next.body != "id next" {
		t.Errorf("the next call on the connection: %+v, %v", next, err)
	}
}

// ascii writes JSON so that it can be a header.
func ascii(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		if r < 127 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// eachKind runs a test for every kind of answer of every language.
func eachKind(t *testing.T, test func(t *testing.T, w *worker, kind string)) {
	eachThat(t, func(l language) bool { return l.kinds != nil }, func(t *testing.T, w *worker) {
		for _, kind := range w.kinds {
			t.Run(kind, func(t *testing.T) { test(t, w, kind) })
		}
	})
}

// TestHeadersThatAreNotTheFunctions has functions set headers that say how
// long the answer is, what becomes of the connection, or what only the worker
// may tell the proxy: none of them leaves the worker.
func TestHeadersThatAreNotTheFunctions(t *testing.T) {
	sets := [][2]string{
		{"Content-Length", "3"}, {"content-length", "300"}, {"Content-Length", "abc"}, {"Content-Length", ""}, {"CONTENT-LENGTH", "5, 5"},
		{"Transfer-Encoding", "chunked"}, {"transfer-encoding", "gzip, chunked"}, {"Transfer-Encoding", "identity"},
		{"Connection", "close"}, {"connection", "X-Other"}, {"Connection", "upgrade"},
		{"Keep-Alive", "timeout=1"}, {"Upgrade", "h2c"}, {"Trailer", "X-Late"}, {"Proxy-Connection", "close"},
		{"Date", "Thu, 01 Jan 1970 00:00:00 GMT"},
		{"X-Func-Error", "forged"}, {"x-func-cancel", "1"}, {"X-Func-Concurrency", "1000"},
	}
	eachKind(t, func(t *testing.T, w *worker, kind string) {
		for _, set := range sets {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				a, err := w.give(t, method, order{Kind: kind, Headers: [][2]string{set, {"X-Own", "kept"}}})
				foreign := slices.ContainsFunc(a.fields, func(f [2]string) bool {
					return strings.EqualFold(f[0], set[0]) && f[1] == set[1] && !strings.EqualFold(f[1], "chunked")
				})
				body := strings.Contains(a.body, "hello") == (method != "HEAD")
				if err != nil || a.status != 200 || a.get("X-Own") != "kept" || a.get("X-Func-Error") != "" || foreign || !body {
					t.Errorf("%s with %q: %+v, %v", method, set, a, err)
				}
			}
		}
	})
}

// TestHeadersThatAreNoHeaders has functions set what cannot be sent.
func TestHeadersThatAreNoHeaders(t *testing.T) {
	sets := [][2]string{
		{"X-A", "a\r\nX-B: b"}, {"X-A", "a\nX-B: b"}, {"X-A", "a\rb"}, {"X-A", "a\x00b"}, {"X-A", "\x7f"}, {"X-A", "a\x1bb"},
		{"X-A", "a\r\n\r\nHTTP/1.1 200 OK"}, {"X-A", "grüße"}, {"X-A", "€"}, {"X-A", "a\u0085b"}, {"X-A", "\u010a"},
		{"X-A\r\nX-B", "b"}, {"X-A\n", "b"}, {"X A", "b"}, {"X-A:", "b"}, {"", "b"}, {"X-Ä", "b"}, {"X-\u010a", "b"}, {"X\x00", "b"},
		{"Content-Length ", "3"}, {"Transfer-Encoding\t", "chunked"}, {"X-Func-Error\r\nX-B", "b"},
	}
	eachKind(t, func(t *testing.T, w *worker, kind string) {
		for _, set := range sets {
			for _, method := range []string{"GET", "HEAD"} {
				a, err := w.give(t, method, order{Kind: kind, Headers: [][2]string{set}})
				if err != nil || a.status == 500 && a.get("X-Func-Error") == "" || a.get("X-B") != "" || a.status == 200 && a.get("X-A") != "" {
					t.Errorf("%s with %q: %+v, %v", method, set, a, err)
				}
				if method == "GET" && a.status == 500 && !strings.Contains(a.body, "eader") {
					t.Errorf("%q: the trace does not say why: %s", set, a.body)
				}
			}
		}
	})
}

// TestStatuses has functions set statuses that are none, or none of an answer.
func TestStatuses(t *testing.T) {
	eachKind(t, func(t *testing.T, w *worker, kind string) {
		for _, status := range []any{0, 1, 99, 100, 101, 150, 199, 600, 999, 1000, -200, 99999, "abc", "", "200 OK\r\nX-B: b", 200.5} {
			if _, number := status.(int); !number && w.name == "go" {
				continue // its type has no others
			}
			for _, method := range []string{"GET", "HEAD"} {
				a, err := w.give(t, method, order{Kind: kind, Status: status})
				rounded := status == 200.5 && a.status == 200
				if err != nil || !rounded && (a.status != 500 || a.get("X-Func-Error") == "") {
					t.Errorf("%s with %v: %+v, %v", method, status, a, err)
				}
			}
		}
		for _, status := range []int{200, 201, 204, 205, 301, 304, 404, 500, 599} {
			for _, method := range []string{"GET", "HEAD"} {
				a, err := w.give(t, method, order{Kind: kind, Status: status, Headers: [][2]string{{"Content-Length", "7"}}})
				with := method == "GET" && status != 204 && status != 304
				if err != nil || a.status != status || a.get("X-Func-Error") != "" || strings.Contains(a.body, "hello") != with {
					t.Errorf("%s with %v: %+v, %v", method, status, a, err)
				}
			}
		}
	})
}

// TestResponsesOutOfTurn has functions change the status of a response that has
// begun, and write to the response of a call that has ended.
func TestResponsesOutOfTurn(t *testing.T) {
	eachThat(t, language.writes, func(t *testing.T, w *worker) {
		if a, err := w.give(t, "GET", order{Kind: "changes"}); err != nil || a.status != 200 || a.body != "hello" {
			t.Errorf("changed: %+v, %v", a, err)
		}
		for _, body := range []string{"", strings.Repeat("x", 20_000)} {
			if a, err := w.give(t, "GET", order{Kind: "keep", Body: body}); err != nil || a.status != 200 {
				t.Errorf("kept: %.200v, %v", a, err)
			}
			a, err := w.give(t, "GET", order{Kind: "late"})
			if err != nil || a.status == 200 && a.body != "hello" {
				t.Errorf("late: %+v, %v", a, err)
			}
		}
	})
}
