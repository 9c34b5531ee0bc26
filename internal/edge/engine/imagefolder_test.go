package engine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveDeadImageFolders(t *testing.T) {
	if !folderLocks {
		t.Skip("folders cannot be locked on this system")
	}
	parent := t.TempDir()
	live, err := newImageFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	paths := map[string]string{
		"live":      live.path,
		"dead":      filepath.Join(parent, imageFolderPrefix+"1"),
		"other":     filepath.Join(parent, "else"),
		"file":      filepath.Join(parent, imageFolderPrefix+"file"),
		"link":      filepath.Join(parent, imageFolderPrefix+"link"),
		"elsewhere": elsewhere,
	}
	for _, err := range []error{
		os.MkdirAll(filepath.Join(paths["dead"], "blobs"), 0o755),
		os.Mkdir(paths["other"], 0o755),
		os.WriteFile(paths["file"], nil, 0o600),
		os.Symlink(elsewhere, paths["link"]),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, want bool) {
		t.Helper()
		if _, err := os.Lstat(paths[name]); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
	if err := removeDeadImageFolders(parent); err != nil {
		t.Fatal(err)
	}
	check("dead", false)
	for _, name := range []string{"live", "other", "file", "link", "elsewhere"} {
		check(name, true)
	}
	if err := live.remove(); err != nil {
		t.Fatal(err)
	}
	check("live", false)
}
