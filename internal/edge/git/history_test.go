package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRevision(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "1")
	first := tr.commit(100)
	tr.git("tag", "-a", "-m", "annotated", "v1")
	tr.write("f", "2")
	second := tr.commit(200)
	r := tr.open("")
	for rev, want := range map[string]string{
		"HEAD": second, "main": second, "HEAD~1": first, "v1": first, first[:8]: first, "refs/heads/main": second,
	} {
		if got, err := r.revision(t.Context(), rev); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", rev, got, err, want)
		}
	}
	for _, rev := range []string{"nope", "HEAD~2", "main..HEAD", "HEAD:f", strings.Repeat("1", 40), "a b", "x\ny"} {
		_, err := r.revision(t.Context(), rev)
		if !errors.Is(err, ErrUnknownRevision) || errors.Is(err, ErrShallow) || !strings.Contains(err.Error(), "git fetch origin") {
			t.Errorf("%q: %v", rev, err)
		}
	}
	for _, rev := range []string{"", "--all", "-q"} {
		if got, err := r.revision(t.Context(), rev); err == nil || errors.Is(err, ErrUnknownRevision) {
			t.Errorf("%q: %q, %v; want it refused", rev, got, err)
		}
	}
}

func TestWithoutCommits(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "1")
	r := tr.open("")
	if _, err := r.revision(t.Context(), "HEAD"); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("HEAD: %v", err)
	}
}

// A damaged repository is not one without commits.
func TestDamaged(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "1")
	id := tr.commit(100)
	if err := os.Remove(filepath.Join(tr.dir, ".git", "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	if got, err := tr.open("").revision(t.Context(), "HEAD"); err == nil {
		t.Errorf("got %s, want an error", got)
	}
}

func TestShallow(t *testing.T) {
	tr := newTree(t)
	tr.write("old", "1")
	first := tr.commit(100)
	tr.write("middle", "1")
	tr.commit(200)
	tr.write("new", "1")
	tr.commit(300)
	r := tr.clone("--depth=2").open("")
	if _, err := r.revision(t.Context(), "HEAD~1"); err != nil {
		t.Error(err)
	}
	for _, rev := range []string{"HEAD~2", first} {
		_, err := r.revision(t.Context(), rev)
		if !errors.Is(err, ErrUnknownRevision) || !errors.Is(err, ErrShallow) || !strings.Contains(err.Error(), "git fetch --unshallow") || !strings.Contains(err.Error(), "fetch-depth: 0") {
			t.Errorf("%s: %v", rev, err)
		}
	}
	if _, err := r.Export(t.Context(), "HEAD~1", t.TempDir()); err != nil {
		t.Error(err)
	}
}
