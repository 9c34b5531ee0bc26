package scaffold

import (
	"io/fs"
	"os"
	"path"
)

// AllFiles are the files of a folder, relative to root with forward slashes: what
// belongs to a repository where git does not say it.
func AllFiles(root, folder string) ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(root), path.Clean(folder), func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, file)
		}
		return err
	})
	return files, err
}
