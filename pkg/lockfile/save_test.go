package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A change that is taken back leaves the file as its author wrote it.
func TestSaveOnlyIfChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	source := "images: {'docker.io/library/a:1': \"" + digestA + "\"} # mine\r\nversion: 1\r\n"
	write(t, path, source)
	f := load(t, path)
	f.Set(reference.MustParse("a:1"), digestB)
	f.Set(reference.MustParse("a:1"), digestA)
	f.Set(reference.MustParse("b:1"), digestA)
	f.Remove(reference.MustParse("b:1"))
	if f.Changed() {
		t.Error("changed")
	}
	save(t, f)
	if got := read(t, path); got != source {
		t.Errorf("got %q", got)
	}
}

func TestSaveKeepsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	f := load(t, path)
	for _, mode := range []fs.FileMode{0o644, 0o600} {
		f.Set(reference.MustParse("a:1"), "sha256:"+fmt.Sprintf("%064o", mode))
		save(t, f)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode == 0o644 && info.Mode() != mode || info.Mode()&^0o644 != 0 {
			t.Errorf("mode %s", info.Mode())
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSaveErrors(t *testing.T) {
	tests := []struct {
		name, want string
		do         func(path string, f *File) error
	}{
		{"a malformed digest", "docker.io/library/b:1: \"sha256:12\" is not a digest", func(_ string, f *File) error {
			f.Set(reference.MustParse("b:1"), "sha256:12")
			return nil
		}},
		{"changed on disk", "has changed since it was read", func(path string, _ *File) error {
			return os.WriteFile(path, []byte("version: 1\n"), 0o644)
		}},
		{"removed", "has been removed", func(path string, _ *File) error { return os.Remove(path) }},
		{"read-only", "is read-only", func(path string, _ *File) error { return os.Chmod(path, 0o444) }},
		{"a link", "not a regular file", func(path string, _ *File) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			write(t, path, "version: 1\nimages:\n  docker.io/library/a:1: "+digestA+"\n")
			f := load(t, path)
			f.Set(reference.MustParse("a:1"), digestB)
			if err := test.do(path, f); err != nil {
				t.Fatal(err)
			}
			err := f.Save()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if !f.Changed() {
				t.Error("no longer changed")
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) > 2 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
			if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte(digestB)) {
				t.Error("the file was written")
			}
		})
	}
	f := load(t, filepath.Join(t.TempDir(), "missing", FileName))
	f.Set(reference.MustParse("a:1"), digestA)
	if err := f.Save(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing folder: %v", err)
	}
}

// Somebody made the file while this run had none.
func TestSaveOverNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	f := load(t, path)
	write(t, path, "")
	f.Set(reference.MustParse("a:1"), digestA)
	if err := f.Save(); err == nil || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("got %v", err)
	}
}
