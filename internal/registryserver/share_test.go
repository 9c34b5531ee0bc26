package registryserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

func TestSecondStartShares(t *testing.T) {
	root := t.TempDir()
	owner := start(t, Config{Root: root})
	want := push(t, owner, "acme/go:1")
	guest := start(t, Config{Root: root})
	if !guest.Shared() || guest.Address() != owner.Address() {
		t.Fatalf("second: shared %v at %s; first at %s", guest.Shared(), guest.Address(), owner.Address())
	}
	stop(t, guest)
	if got := pull(t, owner, "acme/go:1"); got != want {
		t.Errorf("after the guest's Close: got %s, want %s", got, want)
	}
	stop(t, owner)
	if next := start(t, Config{Root: root}); next.Shared() {
		t.Error("shares a server that is closed")
	}
}

func TestManyStartsAtOnce(t *testing.T) {
	root := t.TempDir()
	servers := make([]*Server, 8)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			s, err := Start(t.Context(), Config{Root: root, Address: "127.0.0.1:0"})
			if err != nil {
				t.Error(err)
				return
			}
			servers[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	owners := 0
	for _, s := range servers {
		defer stop(t, s)
		if !s.Shared() {
			owners++
		}
		if s.Address() != servers[0].Address() {
			t.Errorf("addresses %s and %s", s.Address(), servers[0].Address())
		}
	}
	if owners != 1 {
		t.Errorf("%d servers own the folder, want 1", owners)
	}
}

// TestMain lets the test binary be the other process of
// TestStartWhileAnotherProcessServes.
func TestMain(m *testing.M) {
	root := os.Getenv("LOCAL_REGISTRY_TEST_ROOT")
	if root == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Config{Root: root, Address: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Address())
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed
}

func TestStartWhileAnotherProcessServes(t *testing.T) {
	root := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "LOCAL_REGISTRY_TEST_ROOT="+root)
	other.Stderr = os.Stderr
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		t.Fatal(err)
	}
	guest := start(t, Config{Root: root})
	if !guest.Shared() || guest.Address() != address {
		t.Errorf("shared %v at %s, want the other process's %s", guest.Shared(), guest.Address(), address)
	}
	want := push(t, guest, "acme/go:1")

	// Killed, it leaves its lock file with an address that nobody serves.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // reports the kill
	next := start(t, Config{Root: root})
	if next.Shared() {
		t.Fatal("shares the server of a process that was killed")
	}
	if got := pull(t, next, "acme/go:1"); got != want {
		t.Errorf("after the kill: got %s, want %s", got, want)
	}
}

// A lock file that names another registry's address, left by a process that
// was killed, must not lead there.
func TestFindChecksTheIdentity(t *testing.T) {
	stranger := start(t, Config{Root: t.TempDir()})
	path := filepath.Join(t.TempDir(), lockName)
	for _, content := range []string{"", "nonsense", stranger.Address(), stranger.Address() + " 0123456789abcdef\n"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if address, ok := find(t.Context(), path); ok {
			t.Errorf("lock file %q: found %s", content, address)
		}
	}
}

func TestLockedButNotServing(t *testing.T) {
	root := t.TempDir()
	lock, err := tryLock(filepath.Join(root, lockName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, Config{Root: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v; want the context's error", s, err)
	}
	if err := lock.release(); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Root: root})
}
