package buildcontext

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links a path may lead through.
const maxLinks = 40

// Require wants each path, relative to the context and without wildcards, to be
// among the files, by way of symbolic links or not. The error says why one
// is not, and what to do.
func (f *Files) Require(paths []string) error {
	for _, p := range paths {
		if !f.has(p) {
			return f.missing(strings.TrimPrefix(path.Clean("/"+p), "/"))
		}
	}
	return nil
}

// has follows a path through the list as engines do: a symbolic link cannot
// leave the context, and an absolute one starts at its root.
func (f *Files) has(p string) bool {
	rest, at := strings.Split(path.Clean("/"+p), "/"), ""
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = parent(at)
			continue
		}
		e := f.byPath[path.Join(at, name)]
		if e == nil {
			return false
		}
		if e.mode.Type() != fs.ModeSymlink {
			at = e.path
			continue
		}
		if links++; links > maxLinks {
			return false
		}
		if path.IsAbs(e.link) {
			at = ""
		}
		rest = append(strings.Split(filepath.ToSlash(e.link), "/"), rest...)
	}
	return true
}

// missing says why a path is not among the files.
func (f *Files) missing(rel string) error {
	full := filepath.Join(f.root, filepath.FromSlash(rel))
	target, err := filepath.EvalSymlinks(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(full); err == nil {
			return fmt.Errorf("the build reads %s, which is a link to nothing in the build context", rel)
		}
		return fmt.Errorf("the build reads %s, which is not in the build context", rel)
	case err != nil:
		return fmt.Errorf("the build reads %s: %w", rel, err)
	}
	if inside, err := filepath.Rel(f.root, target); err != nil || !filepath.IsLocal(inside) {
		return fmt.Errorf("the build reads %s, which is a link out of the build context, to %s: copy the file, or move the context up (build:: { context: '..' })", rel, target)
	}
	return fmt.Errorf("the build reads %s, which the ignore file hides: add !%s to it", rel, rel)
}
