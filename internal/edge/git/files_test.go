package git

import (
	"slices"
	"testing"
)

// TestFiles lists what is in the repository or would be added to it, of a folder and
// not of one whose name begins the same, from the root of a tree that lies deeper.
func TestFiles(t *testing.T) {
	tr := newTree(t)
	tr.write(".gitignore", "*.log\n")
	tr.write("tree/a/known", "")
	tr.write("tree/a/kept.log", "")
	tr.write("tree/a/deep/ünï\nline", "")
	tr.write("tree/ab/other", "")
	tr.git("add", "--force", ".")
	tr.write("tree/a/added", "")
	tr.write("tree/a/left.log", "")
	r, err := Open(t.Context(), tr.dir+"/tree")
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.Files(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a/added", "a/deep/ünï\nline", "a/kept.log", "a/known"}; !slices.Equal(files, want) {
		t.Errorf("the files are %q, want %q", files, want)
	}
}
