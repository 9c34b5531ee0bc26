//go:build e2e

package runtime

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// TestRun holds what the author of a function sees of rtbuild run: where it
// answers, that a change is there soon, and that Ctrl-C leaves nothing.
func TestRun(t *testing.T) {
	root, _ := ownTree(t)
	source := filepath.Join(t.TempDir(), "f.py")
	writeAnswer(t, source, "one")
	cmd := harness.Command(root, "run", source, "--runtime", "python3.13")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	url := announced(t, lines)
	var said bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&said, stderr) // it must not wait for its reader
	}()
	answersSoon(t, url, "one")
	writeAnswer(t, source, "two")
	answersSoon(t, url, "two")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-read
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interruption: %v\n%s", err, &said)
	}
	if left := dockerCommand(t, "ps", "--all", "--quiet", "--filter", fmt.Sprintf("name=run-%d", cmd.Process.Pid)); strings.TrimSpace(left) != "" {
		t.Errorf("containers are left: %s", left)
	}
}

// announced is the address that is printed.
func announced(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if found := regexp.MustCompile(`answers at (http://\S+)`).FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
	}
	t.Fatalf("no address was printed:\n%s", strings.Join(said, "\n"))
	return ""
}

func writeAnswer(t *testing.T, source, answer string) {
	t.Helper()
	if err := os.WriteFile(source, fmt.Appendf(nil, "def handler(event, context):\n    return %q\n", answer), 0o644); err != nil {
		t.Fatal(err)
	}
}

func answersSoon(t *testing.T, url, want string) {
	t.Helper()
	got := "nothing"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			got = err.Error()
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if got = string(body); err == nil && got == want {
			return
		}
	}
	t.Fatalf("%s answers %q, want %q", url, got, want)
}
