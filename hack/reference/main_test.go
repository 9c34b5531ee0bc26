package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rtbuild/rtbuild/internal/cli"
)

// The pages in the repository are those of today's commands.
func TestPagesAreCurrent(t *testing.T) {
	want := pages(cli.Command())
	dir := filepath.Join("..", "..", "docs", "reference")
	present, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range present {
		if want[filepath.Base(path)] == nil {
			t.Errorf("%s is of no command: make reference", path)
		}
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != string(content) {
			t.Errorf("%s is not what the command says today: make reference (%v)", filepath.Join(dir, name), err)
		}
	}
}

// Manual pages and completion can be made of every command.
func TestPackageFiles(t *testing.T) {
	dir := t.TempDir()
	if err := run(filepath.Join(dir, "man"), filepath.Join(dir, "completion")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"man/rtbuild.1", "man/rtbuild-pin.1", "completion/rtbuild.bash", "completion/rtbuild.zsh", "completion/rtbuild.fish"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
