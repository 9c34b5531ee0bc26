package scaffold_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/release"
	"github.com/rtbuild/rtbuild/pkg/scaffold"
)

// digest stands in the files of tests as <digest>.
var digest = "@sha256:" + strings.Repeat("ab", 32)

// written writes files, by name, and returns their folder.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "<digest>", digest)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// opened is the tree at root.
func opened(t *testing.T, root string) *scaffold.Tree {
	t.Helper()
	settings, err := config.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	open := func(ctx context.Context) (*release.Project, error) {
		return release.Open(ctx, jsonnet.New(), root, settings)
	}
	project, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &scaffold.Tree{
		Project: project, Evaluator: jsonnet.New(), Folders: settings.Roots, Open: open,
		Sources: func(_ context.Context, folder string) ([]string, error) { return scaffold.AllFiles(root, folder) },
	}
}

// contents are all files below a folder, by name; links as their targets.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			all[name], err = os.Readlink(path)
			return err
		}
		content, err := os.ReadFile(path)
		all[name] = strings.ReplaceAll(string(content), digest, "<digest>")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// changedBy writes an addition, and returns the files that it changed. Until then
// there may be no change.
func changedBy(t *testing.T, root string, plan func(*scaffold.Tree) (*scaffold.Addition, error)) map[string]string {
	t.Helper()
	before := contents(t, root)
	addition, err := plan(opened(t, root))
	if err != nil {
		t.Fatal(err)
	}
	if changed := differences(before, contents(t, root)); len(changed) != 0 {
		t.Fatalf("before Write, changed are %q", changed)
	}
	if err := addition.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	return differences(before, contents(t, root))
}

// differences are the files that differ, by name: what they are now, "" for those that
// are gone.
func differences(before, after map[string]string) map[string]string {
	changed := map[string]string{}
	for name, text := range after {
		if old, ok := before[name]; !ok || old != text {
			changed[name] = text
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			changed[name] = ""
		}
	}
	return changed
}
