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
		if listed := follow(p, f.lookUp); !listed.found {
			return f.missing(strings.TrimPrefix(path.Clean("/"+p), "/"), listed)
		}
	}
	return nil
}

// lookUp finds an entry of the list.
func (f *Files) lookUp(p string) (link string, isLink, found bool) {
	e := f.byPath[p]
	if e == nil {
		return "", false, false
	}
	return e.link, e.mode.Type() == fs.ModeSymlink, true
}

// onDisk finds what the context's folder has, whatever the ignore file says.
func (f *Files) onDisk(p string) (link string, isLink, found bool) {
	full := filepath.Join(f.root, filepath.FromSlash(p))
	info, err := os.Lstat(full)
	if err != nil {
		return "", false, false
	}
	if info.Mode().Type() != fs.ModeSymlink {
		return "", false, true
	}
	link, err = os.Readlink(full)
	return link, true, err == nil
}

// special tells whether a path without links leads to what is neither a file nor a
// folder.
func (f *Files) special(p string) bool {
	info, err := os.Lstat(filepath.Join(f.root, filepath.FromSlash(p)))
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// A way is where a path leads.
type way struct {
	found bool
	// end is the path without symbolic links; of one that is not found, with what
	// was left of it.
	end   string
	links int // that it leads through
}

// follow follows a path as engines do: a symbolic link cannot leave the context,
// and an absolute one starts at its root.
func follow(p string, lookUp func(p string) (link string, isLink, found bool)) way {
	rest, at, links := strings.Split(path.Clean("/"+p), "/"), "", 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = parent(at)
			continue
		}
		next := path.Join(at, name)
		link, isLink, found := lookUp(next)
		if !found || links == maxLinks {
			return way{end: strings.TrimPrefix(path.Join("/", next, path.Join(rest...)), "/"), links: links}
		}
		if !isLink {
			at = next
			continue
		}
		links++
		if path.IsAbs(link) {
			at = ""
		}
		rest = append(strings.Split(filepath.ToSlash(link), "/"), rest...)
	}
	return way{found: true, end: at, links: links}
}

// missing says why a path is not among the files, which leads as far as it does
// there.
func (f *Files) missing(rel string, listed way) error {
	there := follow(rel, f.onDisk)
	switch {
	case !there.found:
	case f.special(there.end):
		return fmt.Errorf("the build reads %s, which is a socket, a pipe or a device: those are in no build context", rel)
	case listed.links == 0:
		return fmt.Errorf("the build reads %s, which the ignore file hides: add !%s to it", rel, rel)
	default:
		return fmt.Errorf("the build reads %s, a link that leads to %s, which the ignore file hides: add !%s to it", rel, listed.end, listed.end)
	}
	full := filepath.Join(f.root, filepath.FromSlash(rel))
	target, err := filepath.EvalSymlinks(full)
	if err == nil {
		return fmt.Errorf("the build reads %s, which is a link out of the build context, to %s: copy the file, or move the context up (build:: { context: '..' })", rel, target)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the build reads %s: %w", rel, err)
	}
	if _, err := os.Lstat(full); err == nil {
		return fmt.Errorf("the build reads %s, which is a link to nothing in the build context", rel)
	}
	return fmt.Errorf("the build reads %s, which is not in the build context", rel)
}
