// Package scaffold adds to a repository of runtimes: a runtime, made of another one
// of the tree, or a version of a runtime. It decides what to write; what is written
// is proven by evaluating the manifests, or taken back.
package scaffold

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// A Tree is the repository to add to.
type Tree struct {
	Project   *release.Project
	Evaluator provenance.Evaluator
	// Folders hold the runtime folders; manifest.DefaultFolders if empty.
	Folders []string
	// Sources lists the files in a folder, relative to the root, that belong to the
	// repository: their paths relative to the root, with forward slashes.
	Sources func(ctx context.Context, folder string) ([]string, error)
	// Open loads the tree anew.
	Open func(ctx context.Context) (*release.Project, error)
}

func (t *Tree) root() string { return t.Project.Tree.Root }

func (t *Tree) folders() []string {
	if len(t.Folders) == 0 {
		return manifest.DefaultFolders()
	}
	return t.Folders
}

// path is the absolute path of one relative to the root.
func (t *Tree) path(relative string) string {
	return filepath.Join(t.root(), filepath.FromSlash(relative))
}

// relative is a path relative to the root, with forward slashes.
func (t *Tree) relative(path string) string {
	if relative, err := filepath.Rel(t.root(), path); err == nil {
		return filepath.ToSlash(relative)
	}
	return path
}

// runtime is the runtime of an ID and its index in the document.
func (t *Tree) runtime(id string) (int, *manifest.Runtime) {
	for i := range t.Project.Tree.Runtimes {
		if r := &t.Project.Tree.Runtimes[i]; r.ID == id {
			return i, r
		}
	}
	return -1, nil
}

func (t *Tree) ids() []string {
	var ids []string
	for _, r := range t.Project.Tree.Runtimes {
		ids = append(ids, r.ID)
	}
	return ids
}

// An Addition is what is to be written.
type Addition struct {
	// Runtime is the ID of the runtime, and Folder where it lies, relative to the
	// root.
	Runtime, Folder string
	// Versions are the added ones, and From what they are made of: a runtime, or a
	// version of this one; empty for a blank runtime.
	Versions []string
	From     string
	// Files are new.
	Files []File
	// Patch changes files that are there.
	Patch *pin.Patch
	// Resumed tells that the runtime's folder is there, of a run that did not come to
	// its end: what is left to do is to import it.
	Resumed bool
	// Line is what is left to be added to the root document by hand, if anything.
	Line string

	tree *Tree
	// whole tells that Files are a new folder, all of it: a runtime.
	whole bool
	// prove says what is wrong with the manifests as they are then.
	prove func(after *manifest.Tree) error
}

// OfVersion tells whether it is a version of a runtime that is there, and no runtime.
func (a *Addition) OfVersion() bool { return !a.whole }

// Deployable tells whether the runtime's Makefile has the tree's targets, which deploy
// its examples.
func (a *Addition) Deployable() bool {
	makefile := a.Folder + "/Makefile"
	source, err := os.ReadFile(a.tree.path(makefile))
	for _, f := range a.Files {
		if f.Path == makefile {
			source, err = f.Content, nil
		}
	}
	return err == nil && strings.Contains(string(source), path.Base(sharedMakefile))
}

// A File is a new file.
type File struct {
	// Path is relative to the root, with forward slashes.
	Path    string
	Content []byte
	Mode    fs.FileMode
	// Link is where a symbolic link leads; then there is no content.
	Link string
}

// An InputError is a wish that cannot be granted in this tree.
type InputError struct{ message string }

func (e *InputError) Error() string { return e.message }

func inputf(format string, args ...any) error {
	return &InputError{message: fmt.Sprintf(format, args...)}
}
