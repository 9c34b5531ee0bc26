package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A tree is a folder with a repository, worked on with the real git.
type tree struct {
	t   *testing.T
	dir string
}

// newTree makes a repository without commits. The machine's settings of git do
// not count.
func newTree(t *testing.T) tree {
	t.Helper()
	parent := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(parent))
	tr := tree{t, filepath.Join(parent, "tree")}
	if err := os.Mkdir(tr.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tr.git("init", "-q", "-b", "main")
	return tr
}

// git runs git in the tree, in a clean environment.
func (tr tree) git(args ...string) string {
	tr.t.Helper()
	return tr.at(0, args...)
}

// at runs git at this many seconds of Unix time.
func (tr tree) at(seconds int, args ...string) string {
	tr.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=n@example.org"}, args...)...)
	cmd.Dir = tr.dir
	// The author's time differs: it must not count.
	cmd.Env = append(environment(), fmt.Sprintf("GIT_COMMITTER_DATE=@%d +0200", seconds), "GIT_AUTHOR_DATE=@77 +0000")
	out, err := cmd.CombinedOutput()
	if err != nil {
		tr.t.Fatalf("git %s: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (tr tree) write(name, content string) {
	tr.t.Helper()
	path := filepath.Join(tr.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

// commit commits all there is.
func (tr tree) commit(seconds int) string {
	tr.t.Helper()
	tr.git("add", "-A")
	tr.at(seconds, "commit", "-q", "--allow-empty", "-m", "m")
	return tr.git("rev-parse", "HEAD")
}

// clone clones the tree with these options.
func (tr tree) clone(options ...string) tree {
	tr.t.Helper()
	dir := filepath.Join(tr.t.TempDir(), "clone")
	tr.git(append(append([]string{"clone", "-q"}, options...), "file://"+tr.dir, dir)...)
	return tree{tr.t, dir}
}

func (tr tree) open(folder string) *Repository {
	tr.t.Helper()
	r, err := Open(tr.t.Context(), filepath.Join(tr.dir, folder))
	if err != nil {
		tr.t.Fatal(err)
	}
	return r
}

func TestOpen(t *testing.T) {
	tr := newTree(t)
	for _, folder := range []string{"", "sub", "a b/ü", "line\nbreak", "ends\n"} {
		if err := os.MkdirAll(filepath.Join(tr.dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		want := folder
		if want != "" {
			want += "/"
		}
		if r := tr.open(folder); r.prefix != want {
			t.Errorf("%q: prefix %q", folder, r.prefix)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	tr := newTree(t)
	for _, folder := range []string{filepath.Dir(tr.dir), filepath.Join(tr.dir, ".git")} {
		if _, err := Open(t.Context(), folder); !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: %v", folder, err)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(tr.dir, "missing")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNoRepository) {
		t.Errorf("a missing folder: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(cancelled, tr.dir); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(t.Context(), tr.dir); !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("without git: %v", err)
	}
}

// A repository of another user is trouble that must be seen, not a folder
// without history.
func TestNotTrusted(t *testing.T) {
	tr := newTree(t)
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // git's own switch
	_, err := Open(t.Context(), tr.dir)
	if err == nil || errors.Is(err, ErrNoRepository) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"another user owns it", "git config --global --add safe.directory " + tr.dir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "safe.directory")
	t.Setenv("GIT_CONFIG_VALUE_0", tr.dir)
	tr.open("")
}

// Hooks run with variables that name their repository.
func TestEnvironmentDoesNotRedirect(t *testing.T) {
	other := newTree(t)
	other.write("other", "x")
	other.commit(900)
	tr := newTree(t)
	tr.write("f", "x")
	want := tr.commit(100)
	t.Setenv("GIT_DIR", filepath.Join(other.dir, ".git"))
	t.Setenv("GIT_WORK_TREE", other.dir)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other.dir, ".git", "index"))
	t.Setenv("GIT_OBJECT_DIRECTORY", filepath.Join(other.dir, ".git", "objects"))
	t.Setenv("GIT_GLOB_PATHSPECS", "1")

	r := tr.open("")
	if got, err := r.revision(t.Context(), "HEAD"); err != nil || got != want {
		t.Errorf("HEAD is %s, %v; want %s", got, err, want)
	}
	dir := t.TempDir()
	if _, err := r.Export(t.Context(), "HEAD", dir); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, dir); len(got) != 1 || got["f"] == "" {
		t.Errorf("exported %v", got)
	}
}
