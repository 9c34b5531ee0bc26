package containers

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// A Packing is how files lie in a tar archive.
type Packing struct {
	// Folder is where they are, relative and with slashes. It has no entry itself;
	// the folders in it have one, before what is in them.
	Folder string
	// Owner is the number of all entries' user and group.
	Owner int
	// FolderMode and FileMode are permissions; an executable file may be executed
	// besides, by everybody.
	FolderMode, FileMode int64
	// Modified is the time of all entries.
	Modified time.Time
}

// Write writes files, in their order, and the folders that they are in.
func (p Packing) Write(w *tar.Writer, files []function.File) error {
	var errs []error
	put := func(name string, header tar.Header, content []byte) {
		header.Name, header.Uid, header.Gid, header.ModTime = path.Join(p.Folder, name), p.Owner, p.Owner, p.Modified
		if header.Typeflag == tar.TypeDir {
			header.Name += "/"
		}
		errs = append(errs, w.WriteHeader(&header))
		if len(content) > 0 {
			_, err := w.Write(content)
			errs = append(errs, err)
		}
	}
	seen := map[string]bool{".": true}
	var parents func(name string)
	parents = func(name string) {
		if parent := path.Dir(name); !seen[parent] {
			seen[parent] = true
			parents(parent)
			put(parent, tar.Header{Typeflag: tar.TypeDir, Mode: p.FolderMode}, nil)
		}
	}
	for _, file := range files {
		parents(file.Name)
		switch {
		case file.Link != "":
			put(file.Name, tar.Header{Typeflag: tar.TypeSymlink, Linkname: file.Link, Mode: 0o777}, nil)
		case file.Executable:
			put(file.Name, tar.Header{Mode: p.FileMode | 0o111, Size: int64(len(file.Content))}, file.Content)
		default:
			put(file.Name, tar.Header{Mode: p.FileMode, Size: int64(len(file.Content))}, file.Content)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("packing files: %w", err)
	}
	return nil
}
