package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

func TestLastChange(t *testing.T) {
	tr := newTree(t)
	odd := []string{"with space", "ünï", "new\nline", "star*", ":(top)x", "-dash", "quote\"", `back\slash`}
	tr.write("stable/a/Dockerfile", "1")
	tr.write("stable/b/Dockerfile", "1")
	tr.commit(100)
	for i, name := range odd {
		tr.write("odd/"+name, "1")
		tr.commit(1000 + i)
	}
	tr.write("starry", "what star* would match if it were a pattern")
	tr.write("stable/a/f", "1")
	tr.commit(2000)
	// A merge changes what both sides have changed, and no more.
	tr.git("checkout", "-q", "-b", "side", "HEAD~1")
	tr.write("stable/b/side", "1")
	tr.commit(3000)
	tr.git("checkout", "-q", "main")
	tr.at(4000, "merge", "-q", "--no-ff", "-m", "merge", "side")
	tr.write("untracked", "1")

	tests := []struct {
		root  string
		paths []string
		want  int64
	}{
		{"", []string{"."}, 4000},
		{"", []string{"stable/a"}, 2000},
		{"", []string{"stable/a/Dockerfile"}, 100},
		{"", []string{"stable/b"}, 3000},
		{"", []string{"stable/a/Dockerfile", "odd/ünï"}, 1001},
		{"stable", []string{"a/Dockerfile"}, 100},
		{"stable", []string{"a"}, 2000},
		{"stable", []string{"stable/a"}, 0},
		{"", []string{"untracked"}, 0},
		{"", []string{"missing", "stable/a/Dockerfile"}, 100},
		{"", nil, 0},
	}
	for i, name := range odd {
		tests = append(tests, struct {
			root  string
			paths []string
			want  int64
		}{"odd", []string{name}, 1000 + int64(i)})
	}
	for _, test := range tests {
		got, err := tr.open(test.root).LastChange(t.Context(), test.paths)
		if err != nil {
			t.Errorf("%q in %q: %v", test.paths, test.root, err)
			continue
		}
		if test.want == 0 && !got.IsZero() || test.want != 0 && got.Unix() != test.want {
			t.Errorf("%q in %q: got %s, want Unix time %d", test.paths, test.root, got, test.want)
		}
	}
	for _, path := range []string{"../x", "/etc", "a/../../x", ""} {
		if got, err := tr.open("stable").LastChange(t.Context(), []string{path}); err == nil {
			t.Errorf("%q: got %s, want an error", path, got)
		}
	}
}

func TestLastChangeOfManyPaths(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "1")
	tr.commit(100)
	tr.write("g", "1")
	tr.commit(200)
	var paths []string
	for i := range 30_000 {
		paths = append(paths, fmt.Sprintf("%s/%d", strings.Repeat("long", 20), i))
	}
	paths = append(append([]string{"g"}, paths...), "f")
	if got, err := tr.open("").LastChange(t.Context(), paths); err != nil || got.Unix() != 200 {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestBatches(t *testing.T) {
	for _, test := range []struct{ paths, want string }{
		{"", ""},
		{"a", "[a]"},
		{"aa bb cc d", "[aa bb] [cc d]"},
		{"longer-than-that a b c", "[longer-than-that] [a b c]"},
		{"a longer-than-that b", "[a] [longer-than-that] [b]"},
	} {
		var got []string
		for batch := range batches(strings.Fields(test.paths), 6) {
			got = append(got, fmt.Sprint(batch))
		}
		if !slices.Equal(got, strings.Split(test.want, " [")) && strings.Join(got, " ") != test.want {
			t.Errorf("%q: got %q, want %q", test.paths, got, test.want)
		}
	}
}

func TestWithoutCommits(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "1")
	r := tr.open("")
	if got, err := r.LastChange(t.Context(), []string{"f"}); err != nil || !got.IsZero() {
		t.Errorf("got %s, %v; want the zero time", got, err)
	}
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
	if got, err := tr.open("").LastChange(t.Context(), []string{"f"}); err == nil {
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
	if got, err := r.LastChange(t.Context(), []string{"new"}); err != nil || got.Unix() != 300 {
		t.Errorf("new: got %s, %v", got, err)
	}
	for _, path := range []string{"old", "middle"} {
		if got, err := r.LastChange(t.Context(), []string{path}); !errors.Is(err, ErrShallow) {
			t.Errorf("%s: got %s, %v; want ErrShallow", path, got, err)
		}
	}
	if _, err := r.revision(t.Context(), "HEAD~1"); err != nil {
		t.Error(err)
	}
	for _, rev := range []string{"HEAD~2", first} {
		_, err := r.revision(t.Context(), rev)
		if !errors.Is(err, ErrUnknownRevision) || !errors.Is(err, ErrShallow) || !strings.Contains(err.Error(), "git fetch --unshallow") || !strings.Contains(err.Error(), "fetch-depth: 0") {
			t.Errorf("%s: %v", rev, err)
		}
	}
	// Of a history that is whole, the first commit is an answer.
	if got, err := tr.open("").LastChange(t.Context(), []string{"old"}); err != nil || got.Unix() != 100 {
		t.Errorf("old: got %s, %v", got, err)
	}
	if err := r.Export(t.Context(), "HEAD~1", t.TempDir()); err != nil {
		t.Error(err)
	}
}
