package buildcontext

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

var _ fsutil.FS = (*Files)(nil)

// Walk implements fsutil.FS: it visits target and what lies below it, in the
// list's order. Nothing is read from disk.
func (f *Files) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	target = strings.Trim(filepath.ToSlash(filepath.Clean(target)), "/")
	if target == "." {
		target = ""
	}
	skipped := "\x00" // no path begins so
	for _, e := range f.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if target != "" && e.path != target && !strings.HasPrefix(e.path, target+"/") || strings.HasPrefix(e.path, skipped) {
			continue
		}
		err := fn(filepath.FromSlash(e.path), &fsutil.DirEntryInfo{Stat: e.stat()}, nil)
		switch {
		case err == nil:
		case !errors.Is(err, fs.SkipDir):
			return err
		case e.mode.IsDir():
			skipped = e.path + "/"
		default: // of a file, the rest of its folder
			skipped = strings.TrimPrefix(parent(e.path)+"/", "/")
		}
	}
	return nil
}

// parent is the folder that a path lies in, "" for the context's root.
func parent(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}

// stat describes an entry to who asks for it. Who sends it sets the time.
func (e *entry) stat() *fstypes.Stat {
	return &fstypes.Stat{Path: filepath.FromSlash(e.path), Mode: uint32(e.mode), Size: e.size, Linkname: e.link}
}

// Open implements fsutil.FS. Who sends the context takes a file that cannot be
// opened for an empty one, so whatever is wrong is said by the first Read.
func (f *Files) Open(path string) (io.ReadCloser, error) {
	e := f.byPath[filepath.ToSlash(path)]
	if e == nil {
		return &verified{files: f, err: fmt.Errorf("%s is not in the list of files: %w", path, fs.ErrNotExist)}, nil
	}
	full := filepath.Join(f.root, filepath.FromSlash(e.path))
	if info, err := os.Lstat(full); err != nil || !info.Mode().IsRegular() {
		return &verified{files: f, err: f.changed.note(e)}, nil
	}
	file, err := os.Open(full)
	if err != nil {
		return &verified{files: f, err: f.changed.note(e)}, nil
	}
	return &verified{files: f, entry: e, file: file, sum: sha256.New(), left: e.size}, nil
}

// verified reads a file, and fails where that is no longer what was hashed. The
// last byte is held back until all of them are known to be right: engines keep
// what they were sent, and know it again by its size and time.
type verified struct {
	files *Files
	entry *entry
	file  *os.File
	sum   hash.Hash
	left  int64
	err   error
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (n int, err error) {
	if v.err != nil || len(p) == 0 {
		return 0, v.err
	}
	if v.left > 1 {
		p = p[:min(int64(len(p)), v.left-1)]
	} else {
		p = p[:v.left]
	}
	if n, err = io.ReadAtLeast(v.file, p, min(1, len(p))); err != nil {
		v.err = v.files.changed.note(v.entry)
		return 0, v.err
	}
	v.sum.Write(p[:n])
	if v.left -= int64(n); v.left > 0 {
		return n, nil
	}
	v.err = io.EOF
	more, _ := v.file.Read(make([]byte, 1))
	if more > 0 || hex.EncodeToString(v.sum.Sum(nil)) != v.entry.content {
		v.err = v.files.changed.note(v.entry)
		return 0, v.err
	}
	return n, nil
}

// Close implements io.Closer.
func (v *verified) Close() error {
	if v.file == nil {
		return nil
	}
	return v.file.Close()
}

// A changedError is a file that is no longer what it was when it was hashed.
type changedError struct {
	// Path is relative to the context.
	Path string
}

func (e *changedError) Error() string {
	return e.Path + " changed while the image was built: run again"
}

// changes keep which file was found changed first.
type changes struct {
	mu    sync.Mutex
	first *changedError
}

func (c *changes) note(e *entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = &changedError{Path: e.path}
	}
	return &changedError{Path: e.path}
}

// Changed is the *changedError of the first file that was found changed while
// it was sent, or nil. Engines tell who asked them to build that the files could
// not be had, in words of their own.
func (f *Files) Changed() error {
	f.changed.mu.Lock()
	defer f.changed.mu.Unlock()
	if f.changed.first == nil {
		return nil
	}
	return f.changed.first
}
