package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
)

// A Hasher hashes the files of build contexts, each once however many images
// are built from them. It is safe for concurrent use. The zero value is ready.
type Hasher struct {
	mu     sync.Mutex
	hashes map[string]string // by absolute path
}

// Files hashes what the patterns (see dockerfile.File) reach in the context
// dir, less what its ignore file hides: from the path relative to the context
// to a hash of the kind of entry, whether it is executable, and its content or
// the link's target. Times do not count, and neither do other permissions,
// which a fresh clone does not keep. Ignored folders are not entered, unless
// an exception could bring back what lies in them.
func (h *Hasher) Files(dir, dockerfileName string, patterns []string) (map[string]string, error) {
	ignored, err := readIgnore(dir, dockerfileName)
	if err != nil {
		return nil, err
	}
	w := &contextWalk{hasher: h, dir: dir, ignored: ignored, files: map[string]string{}}
	for _, pattern := range patterns {
		if err := w.pattern(pattern); err != nil {
			return nil, fmt.Errorf("reading the build context: %w", err)
		}
	}
	return w.files, nil
}

// A contextWalk collects the files of one context.
type contextWalk struct {
	hasher  *Hasher
	dir     string
	ignored *patternmatcher.PatternMatcher
	files   map[string]string
}

// pattern walks from the last folder of a pattern that has no wildcard.
func (w *contextWalk) pattern(pattern string) error {
	if pattern == "." {
		return w.walk(".", func(string) bool { return true })
	}
	parts := strings.Split(pattern, "/")
	fixed := 0
	for fixed < len(parts) && !strings.ContainsAny(parts[fixed], `*?[\`) {
		fixed++
	}
	start := path.Join(parts[:fixed]...)
	if start == "" {
		start = "."
	}
	if fixed == len(parts) {
		if err := w.readable(pattern); err != nil {
			return err
		}
	}
	return w.walk(start, func(rel string) bool {
		names := strings.Split(rel, "/")
		if len(names) < len(parts) {
			return false
		}
		matched, err := path.Match(pattern, strings.Join(names[:len(parts)], "/"))
		return err == nil && matched
	})
}

// readable wants a path that is read, and named without wildcards, to be there
// for the engine: in the context, not hidden, not a link that leads out of it.
func (w *contextWalk) readable(rel string) error {
	native := filepath.FromSlash(rel)
	full := filepath.Join(w.dir, native)
	if _, err := os.Lstat(full); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the build reads %s, which is not in the build context", rel)
	}
	if hidden, err := w.ignored.MatchesOrParentMatches(native); err != nil {
		return err
	} else if hidden && !w.ignored.Exclusions() {
		return fmt.Errorf("the build reads %s, which the ignore file hides: add !%s to it", rel, rel)
	}
	root, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(full)
	if err != nil {
		return fmt.Errorf("the build reads %s: %w", rel, err)
	}
	if inside, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(inside) {
		return fmt.Errorf("the build reads %s, which is a link out of the build context, to %s: copy the file, or move the context up (build:: { context: '..' })", rel, target)
	}
	return nil
}

// walk collects start, and what lies below it, where wanted says so.
func (w *contextWalk) walk(start string, wanted func(rel string) bool) error {
	root := filepath.Join(w.dir, filepath.FromSlash(start))
	if _, err := os.Lstat(root); errors.Is(err, fs.ErrNotExist) {
		return nil // the engine says so, with the instruction
	}
	return walkContext(w.dir, start, w.ignored, func(file, rel string, entry fs.DirEntry) error {
		if !wanted(rel) || w.files[rel] != "" {
			return nil
		}
		var err error
		if w.files[rel], err = w.hasher.hash(file, entry); err != nil {
			return err
		}
		return w.follow(rel, file, entry)
	})
}

// follow walks a symbolic link's target, where it lies in the context: COPY
// of a link copies what it points to.
func (w *contextWalk) follow(rel, file string, entry fs.DirEntry) error {
	if entry.Type()&fs.ModeSymlink == 0 {
		return nil
	}
	target, err := os.Readlink(file)
	if err != nil {
		return err
	}
	if path.IsAbs(target) {
		target = strings.TrimPrefix(target, "/")
	} else {
		target = path.Join(path.Dir(rel), filepath.ToSlash(target))
	}
	if !filepath.IsLocal(filepath.FromSlash(target)) || target == "." {
		return nil
	}
	return w.walk(target, func(string) bool { return true })
}

// hash hashes one entry.
func (h *Hasher) hash(file string, entry fs.DirEntry) (string, error) {
	h.mu.Lock()
	known := h.hashes[file]
	h.mu.Unlock()
	if known != "" {
		return known, nil
	}
	sum := sha256.New()
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(sum, "%s %t\n", info.Mode().Type(), info.Mode().IsRegular() && info.Mode()&0o111 != 0)
	if err := writeContent(sum, file, info); err != nil {
		return "", err
	}
	hashed := hex.EncodeToString(sum.Sum(nil))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hashes == nil {
		h.hashes = map[string]string{}
	}
	h.hashes[file] = hashed
	return hashed, nil
}
