// Package buildcontext reads build contexts: which files of a folder an image
// is made of, what is in them, and how a build engine is sent them. What is
// hashed and what is sent are one list, found by the same code that engines'
// clients send contexts with (tonistiigi/fsutil), so that symbolic links,
// wildcards and ignore rules mean here what they mean in BuildKit.
package buildcontext

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Everything is the path that means all of a context.
const Everything = "."

// A Dir is a folder that images are built from, less what its ignore file
// hides.
type Dir struct {
	// root is the folder with symbolic links resolved.
	root string
	// excludes are the lines of the ignore file, and hidden a path relative to
	// the root that no image is made of, or empty.
	excludes []string
	hidden   string
}

// Open opens the folder dir, which may be a symbolic link, as the context of
// the Dockerfile at the path dockerfile. What is ignored is in the file
// beside the Dockerfile that is named like it with .dockerignore at the end,
// wherever the context is, and only if there is none in the context's own
// .dockerignore. State is a folder of rtbuild's own, which is never part of a
// context; empty for none.
func Open(dir, dockerfile, state string) (*Dir, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the build context: %w", err)
	}
	d := &Dir{root: root}
	if state, err = filepath.EvalSymlinks(state); err == nil {
		if rel, err := filepath.Rel(root, state); err == nil && rel != "." && filepath.IsLocal(rel) {
			d.hidden = rel
		}
	}
	for _, file := range []string{dockerfile + ".dockerignore", filepath.Join(root, ".dockerignore")} {
		source, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the ignore file: %w", err)
		}
		if d.excludes, err = ignorefile.ReadAll(bytes.NewReader(source)); err != nil {
			return nil, fmt.Errorf("reading the ignore file %s: %w", file, err)
		}
		for _, pattern := range d.excludes {
			if _, err := patternmatcher.New([]string{pattern}); err != nil {
				return nil, fmt.Errorf("reading the ignore file %s: %q: %w", file, pattern, err)
			}
		}
		break
	}
	return d, nil
}
