package workers

import (
	"bufio"
	"fmt"
	"testing"
)

// TestOneCallAtOnce asks workers that take one call at once how many they take,
// where a function's author has asked for more: the proxy takes the variable for
// their word if they say nothing, and then waits for answers beside a call.
func TestOneCallAtOnce(t *testing.T) {
	for _, l := range languages() {
		if l.name != "python" && l.name != "ruby" && l.name != "php" {
			continue // the others take several
		}
		t.Run(l.name, func(t *testing.T) {
			conn := start(t, l, "FUNC_WORKER_CONCURRENCY=16").dial(t)
			fmt.Fprint(conn, "GET /_health HTTP/1.1\r\nHost: a\r\n\r\n")
			a, err := readAnswer(bufio.NewReader(conn), "GET")
			if err != nil || a.status != 200 || a.get("X-Func-Concurrency") != "1" {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}
