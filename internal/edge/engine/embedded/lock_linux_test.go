package embedded

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestLockRoot(t *testing.T) {
	root := t.TempDir()
	lock, err := lockRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockRoot(root)
	if err == nil {
		t.Fatal("the folder was locked twice")
	}
	for _, want := range []string{root, "process " + strconv.Itoa(os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if other, err := lockRoot(t.TempDir()); err != nil {
		t.Errorf("locking another folder: %v", err)
	} else if err := other.release(); err != nil {
		t.Error(err)
	}
	if err := lock.release(); err != nil {
		t.Fatal(err)
	}
	again, err := lockRoot(root)
	if err != nil {
		t.Fatalf("locking after the release: %v", err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

func TestHolderNotYetKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := holder(path), "another process that is just starting"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := holder(path + "-missing"); !strings.Contains(got, "no such file") {
		t.Errorf("got %q, want the reason why its number is unknown", got)
	}
}

func TestCacheLimit(t *testing.T) {
	rules, err := cacheLimit(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i, rule := range rules {
		if rule.MaxUsedSpace <= 0 || rule.MaxUsedSpace > 10e9 {
			t.Errorf("rule %d: the bound is %d bytes, want at most 10 GB", i, rule.MaxUsedSpace)
		}
	}
	if last := rules[len(rules)-1]; !last.All || last.KeepDuration != 0 || last.Filter != nil {
		t.Errorf("the last rule spares records: %+v", last)
	}
	if _, err := cacheLimit("/nonexistent"); err == nil {
		t.Error("a folder that does not exist has a bound")
	}
}
