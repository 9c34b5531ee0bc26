package git

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// withSubmodule is a tree whose folder sub/lib is a submodule that has one of
// its own, in deep.
func withSubmodule(t *testing.T) tree {
	t.Helper()
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
	t.Setenv("GIT_CONFIG_VALUE_0", "always")
	deep := newTree(t)
	deep.write("d", "1")
	deep.commit(10)
	lib := newTree(t)
	lib.write("l", "1")
	lib.git("submodule", "add", "-q", "file://"+deep.dir, "deep")
	lib.commit(20)
	tr := newTree(t)
	tr.write("sub/f", "1")
	tr.git("submodule", "add", "-q", "file://"+lib.dir, "sub/lib")
	tr.git("submodule", "update", "-q", "--init", "--recursive")
	tr.commit(30)
	return tr
}

func TestExportSubmodules(t *testing.T) {
	tr := withSubmodule(t)
	want := contents(t, filepath.Join(tr.dir, "sub"))
	if !strings.HasSuffix(want["lib/deep/d"], " 1") || want["lib/.git"] == "" {
		t.Fatalf("the checkout holds %q", want)
	}
	then := tr.git("rev-parse", "HEAD")
	lib := tree{t, filepath.Join(tr.dir, "sub/lib")}
	lib.write("l", "2")
	lib.commit(40)
	tr.commit(50)
	for folder, rev := range map[string]string{"sub": then, "": then} {
		dir := t.TempDir()
		if _, err := tr.open(folder).Export(t.Context(), rev, dir); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, filepath.Join(dir, "sub")); !maps.Equal(got, want) {
			t.Errorf("%q: got  %q\nwant %q", folder, got, want)
		}
	}
}

func TestUnknownSubmodules(t *testing.T) {
	tr := withSubmodule(t)
	commit := strings.Fields(tr.git("ls-tree", "HEAD", "sub/lib"))[2]
	for name, clone := range map[string]tree{"not checked out": tr.clone(), "removed": tr} {
		if name == "removed" {
			clone.git("rm", "-q", "sub/lib")
			clone.commit(60)
			if err := os.RemoveAll(filepath.Join(clone.dir, "sub/lib")); err != nil {
				t.Fatal(err)
			}
		}
		dir := t.TempDir()
		rev := map[string]string{"not checked out": "HEAD", "removed": "HEAD~1"}[name]
		if _, err := clone.open("").Export(t.Context(), rev, dir); err != nil {
			t.Fatal(err)
		}
		got := contents(t, filepath.Join(dir, "sub/lib"))
		if len(got) != 1 || !strings.Contains(got[unknownSubmodule], commit) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The submodule is checked out, and its clone lacks the commit.
func TestUnknownCommitOfSubmodule(t *testing.T) {
	tr := withSubmodule(t)
	lost := strings.Repeat("1", 40)
	tr.git("update-index", "--cacheinfo", "160000,"+lost+",sub/lib")
	tr.git("commit", "-q", "-m", "m")
	dir := t.TempDir()
	if _, err := tr.open("sub").Export(t.Context(), "HEAD", dir); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, filepath.Join(dir, "sub/lib")); len(got) != 1 || !strings.Contains(got[unknownSubmodule], lost) {
		t.Errorf("got %q", got)
	}
}

func TestUnfilled(t *testing.T) {
	tr := withSubmodule(t)
	full := tr.clone("--recurse-submodules")
	half := tr.clone()
	half.git("submodule", "update", "-q", "--init")
	empty := tr.clone()
	for name, test := range map[string]struct {
		tree   tree
		folder string
		want   []string
	}{
		"all":           {full, "", nil},
		"half":          {half, "", []string{"sub/lib/deep"}},
		"half, below":   {half, "sub", []string{"lib/deep"}},
		"none":          {empty, "", []string{"sub/lib"}},
		"none, below":   {empty, "sub", []string{"lib"}},
		"no submodules": {newTree(t), "", nil},
		"the submodule": {half, "sub/lib", []string{"deep"}},
	} {
		got, err := test.tree.open(test.folder).Unfilled(t.Context())
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, test.want)
		}
	}
}
