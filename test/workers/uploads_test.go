package workers

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestLargeUploads sends bodies larger than any buffer, several in a row on one
// connection, with their length ahead and in chunks of several sizes.
func TestLargeUploads(t *testing.T) {
	numbers := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 10*mebibyte {
		fmt.Fprintf(&text, "%x,", numbers.Uint64())
	}
	body := text.String()
	want := fmt.Sprintf("sum %x", sha256.Sum256([]byte(body)))
	const head = "POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: sum\r\nContent-Type: text/plain\r\n"
	requests := map[string]string{"sized": fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)}
	for _, size := range []int{1000, 32 << 10, 3 * mebibyte} {
		var b strings.Builder
		b.WriteString(head + "Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; rest != ""; {
			chunk := rest[:min(size, len(rest))]
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
			rest = rest[len(chunk):]
		}
		requests[fmt.Sprintf("in chunks of %d bytes", size)] = b.String() + "0\r\n\r\n"
	}
	each(t, func(t *testing.T, w *worker) {
		for name, request := range requests {
			conn := w.dial(t)
			from := bufio.NewReader(conn)
			for i := range 4 {
				if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
					t.Fatal(err)
				}
				// The worker reads all of it before it answers.
				if _, err := conn.Write([]byte(request)); err != nil {
					t.Fatalf("%s, call %d: %v", name, i+1, err)
				}
				if a, err := readAnswer(from, "POST"); err != nil || a.body != want {
					t.Fatalf("%s, call %d: %+v, %v", name, i+1, a, err)
				}
				ask(t, conn, from, "next", "")
			}
			conn.Close() // most workers serve one connection at a time
		}
	})
}
