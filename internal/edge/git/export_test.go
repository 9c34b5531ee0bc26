package git

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/release"
)

// contents are the files under dir: content, kind and executable bit.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			found[name] = "→ " + target
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		found[name] = info.Mode().String() + " " + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestExport(t *testing.T) {
	tr := newTree(t)
	tr.write(".gitattributes", "*.md export-ignore\n*.sub export-subst\n*.crlf text eol=crlf\n")
	tr.write("top", "top")
	tr.write("lib/l.libsonnet", "l") // which a manifest may import
	tr.write("sub/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(tr.dir, "sub/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"link": "run.sh", "dangling": "nowhere", "outside": "/etc/passwd", "dir": "/etc"} {
		if err := os.Symlink(target, filepath.Join(tr.dir, "sub", link)); err != nil {
			t.Fatal(err)
		}
	}
	tr.write("sub/with space/ünï\nline", "odd")
	tr.write("sub/README.md", "git archive would leave this out")
	tr.write("sub/x.sub", "$Format:%H$")
	tr.write("sub/x.crlf", "a\r\n")
	tr.write("sub/.hidden/f", "")
	tr.commit(100)
	// A checkout is what an export must equal.
	sub := contents(t, filepath.Join(tr.clone().dir, "sub"))
	if len(sub) != 10 || !strings.HasPrefix(sub["run.sh"], "-rwx") || sub["x.crlf"] != "-rw-r--r-- a\r\n" {
		t.Fatalf("the checkout holds %q", sub)
	}
	tr.write("sub/later", "1")
	tr.write("sub/run.sh", "changed")
	tr.commit(200)
	tr.write("sub/untracked", "1")
	tr.git("add", "sub/untracked")
	hook := filepath.Join(tr.dir, ".git/hooks/post-index-change")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+tr.dir+"/hooked\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Settings that make a checkout incomplete, or write to the repository.
	tr.git("config", "core.sparseCheckout", "true")
	tr.write(".git/info/sparse-checkout", "/top\n")
	tr.git("config", "core.splitIndex", "true")
	before := contents(t, filepath.Join(tr.dir, ".git"))

	dir := filepath.Join(t.TempDir(), "made", "here")
	root, err := tr.open("sub").Export(t.Context(), "HEAD~1", dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, root); !maps.Equal(got, sub) {
		t.Errorf("got  %q\nwant %q", got, sub)
	}
	if got := contents(t, filepath.Dir(root)); len(got) != len(sub)+1 || got["lib/l.libsonnet"] == "" {
		t.Errorf("around it: %q", got)
	}
	whole := t.TempDir()
	if _, err := tr.open("").Export(t.Context(), "HEAD~1", whole); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, whole); len(got) != len(sub)+3 || got["top"] == "" {
		t.Errorf("the whole tree is %q", got)
	}
	if after := contents(t, filepath.Join(tr.dir, ".git")); !maps.Equal(before, after) {
		t.Error("the repository was written to")
	}
	if _, err := os.Stat(filepath.Join(tr.dir, "hooked")); err == nil {
		t.Error("a hook ran")
	}
}

func TestExportErrors(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "1")
	// A link in the place of the root's folder must not be followed.
	if err := os.Symlink("/etc", filepath.Join(tr.dir, "sub")); err != nil {
		t.Fatal(err)
	}
	tr.commit(100)
	if err := os.Remove(filepath.Join(tr.dir, "sub")); err != nil {
		t.Fatal(err)
	}
	tr.write("sub/f", "1")
	dir := t.TempDir()
	if _, err := tr.open("").Export(t.Context(), "nope", dir); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("unknown revision: %v", err)
	}
	if _, err := tr.open("sub").Export(t.Context(), "HEAD", dir); !errors.Is(err, release.ErrNoTree) || !strings.Contains(err.Error(), "no folder sub/") {
		t.Errorf("a link in the folder's place: %v", err)
	}
	if got := contents(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	if _, err := tr.open("").Export(t.Context(), "HEAD", tr.dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder that is not empty: %v", err)
	}
}

// Trees that no git would make by itself.
func TestExportRefusesNamesThatEscape(t *testing.T) {
	tr := newTree(t)
	tr.write("f", "evil")
	tr.commit(100)
	blob := tr.git("rev-parse", "HEAD:f")
	mktree := func(lines ...string) string {
		t.Helper()
		cmd := exec.Command("git", "mktree")
		cmd.Dir, cmd.Env = tr.dir, environment()
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	evil := mktree("100644 blob " + blob + "\tevil")
	victim := t.TempDir()
	tr.write("link", victim)
	link := tr.git("hash-object", "-w", "link")
	for name, id := range map[string]string{
		"above":            mktree("040000 tree " + evil + "\t.."),
		"git's own":        mktree("040000 tree " + evil + "\t.git"),
		"through the link": mktree("120000 blob "+link+"\ta", "040000 tree "+evil+"\ta"),
	} {
		t.Run(name, func(t *testing.T) {
			commit := tr.git("commit-tree", "-m", "m", id)
			parent := t.TempDir()
			dir := filepath.Join(parent, "dir")
			_, err := tr.open("").Export(t.Context(), commit, dir)
			for _, outside := range []string{victim, parent} {
				for file := range contents(t, outside) {
					if outside == victim || !strings.HasPrefix(file, "dir/") {
						t.Errorf("written: %s in %s", file, outside)
					}
				}
			}
			if name != "through the link" && (err == nil || len(contents(t, dir)) > 0) {
				t.Errorf("error %v, written %q; want nothing written", err, contents(t, dir))
			}
		})
	}
}
