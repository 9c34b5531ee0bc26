//go:build e2e

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// sources are all files of a tree except rtbuild's own state, by path.
func sources(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".rtbuild" {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			files[path] = harness.Read(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// unchanged wants a tree to be as it was.
func unchanged(t *testing.T, root string, before map[string]string) {
	t.Helper()
	after := sources(t, root)
	for path, content := range after {
		if before[path] != content {
			t.Errorf("%s was changed or added", path)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			t.Errorf("%s is gone", path)
		}
	}
}

// destinationOf is a prefix at a registry that no other engine's test uses.
func destinationOf(host, builder string) string {
	return host + "/" + strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(builder)), "-")
}
