package runlock

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/flock"
)

// holdVariable makes the test binary a process that holds the lock at the path
// which is the variable's value.
const holdVariable = "RTBUILD_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVariable); path != "" {
		hold(path)
		return
	}
	os.Exit(m.Run())
}

// hold takes the lock and says so, then waits for its input to end. It has a
// child process that waits for the same.
func hold(path string) {
	lock, err := Acquire(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	child := exec.Command("cat")
	child.Stdin = os.Stdin
	if err := child.Start(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("holding")
	_ = child.Wait()
	if err := lock.Release(); err != nil {
		fmt.Println(err)
	}
}

// A process is one that holds a lock.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

// start runs a process that tries to hold the lock. Its first line tells how
// that went.
func start(t *testing.T, path string, args ...string) (*process, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), holdVariable+"="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // an error if the test has waited
	})
	if !p.lines.Scan() {
		t.Fatalf("the process said nothing: %v", p.lines.Err())
	}
	return p, p.lines.Text()
}

func TestHeldByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".rtbuild", "run.lock")
	before := time.Now().Truncate(time.Second)
	p, said := start(t, path, "all", "--push")
	if said != "holding" {
		t.Fatal(said)
	}
	_, err := Acquire(path)
	var held *heldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a heldError", err)
	}
	if held.PID != p.cmd.Process.Pid || !strings.HasSuffix(held.Command, " all --push") || held.Path != path {
		t.Errorf("held by %+v, want process %d", held, p.cmd.Process.Pid)
	}
	if held.Since.Before(before) || held.Since.After(time.Now()) {
		t.Errorf("held since %s, started after %s", held.Since, before)
	}
	for _, want := range []string{"process " + strconv.Itoa(held.PID), `all --push"`, path, "wait"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}

	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if p.lines.Scan() {
		t.Errorf("the process said: %s", p.lines.Text())
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	release(t, acquire(t, path))
}

// Killed, a run leaves its file and, for a moment, the children that it
// started.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	p, said := start(t, path)
	if said != "holding" {
		t.Fatal(said)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Not Wait, which waits for the child's end too.
	if _, err := p.cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || len(content) == 0 {
		t.Fatalf("the killed process left %q, %v; want its name", content, err)
	}
	lock := acquire(t, path)
	var held *heldError
	if _, err := Acquire(path); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("got %v, want this process named", err)
	}
	release(t, lock)
}

func TestOthersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	lock := acquire(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(content, &h); err != nil || h["pid"] != float64(os.Getpid()) || h["since"] == nil || h["command"] == nil {
		t.Errorf("the file holds %s (%v)", content, err)
	}
	for range 5 {
		_, said := start(t, path)
		if !strings.Contains(said, "process "+strconv.Itoa(os.Getpid())) {
			t.Errorf("a second process said %q", said)
		}
	}
	release(t, lock)
	if _, said := start(t, path); said != "holding" {
		t.Errorf("after the release: %s", said)
	}
}

func TestLeftBehind(t *testing.T) {
	for name, content := range map[string]string{
		"empty":     "",
		"garbage":   "garbage",
		"a process": `{"pid":1,"since":"2020-01-01T00:00:00Z","command":"rtbuild all` + strings.Repeat(" x", 5000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run.lock")
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			lock := acquire(t, path)
			var held *heldError
			if _, err := Acquire(path); !errors.As(err, &held) || held.PID != os.Getpid() {
				t.Errorf("got %v, want this process named", err)
			}
			release(t, lock)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("the file is gone: %v", err)
			}
		})
	}
}

// Between locking and writing, the holder is not known.
func TestHolderNotYetKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	file, err := flock.Acquire(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", `{"pid":12,"si`} {
		if err := file.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		var held *heldError
		if _, err := Acquire(path); !errors.As(err, &held) || held.PID != 0 || !strings.Contains(err.Error(), "just started") {
			t.Errorf("%q: got %v", content, err)
		}
	}
	if err := file.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestAcquireErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file", "run.lock"), dir} {
		_, err := Acquire(path)
		var held *heldError
		if err == nil || errors.As(err, &held) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want an error that names it", path, err)
		}
	}
}

func acquire(t *testing.T, path string) *Lock {
	t.Helper()
	lock, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func release(t *testing.T, lock *Lock) {
	t.Helper()
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	if err := lock.Release(); err != nil {
		t.Errorf("second release: %v", err)
	}
}
