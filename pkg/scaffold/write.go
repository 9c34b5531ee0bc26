package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/pin"
)

// Write writes the addition, and loads and checks the tree with it. If it is not what
// it should be, or anything fails, all is as it was.
func (a *Addition) Write(ctx context.Context) error {
	before, err := a.faults(ctx, a.tree.Project.Check)
	if err != nil {
		return err
	}
	undo, err := a.write()
	if err == nil && a.Line == "" {
		err = a.check(ctx, before)
	}
	if err == nil {
		return nil
	}
	if undoErr := undo(); undoErr != nil {
		return fmt.Errorf("%w; taking back what was written: %w", err, undoErr)
	}
	return fmt.Errorf("%w\nnothing was changed", err)
}

// checker lists what is wrong with what names select.
type checker func(ctx context.Context, names []string) ([]manifest.Finding, error)

// faults are the errors in the runtime, as text.
func (a *Addition) faults(ctx context.Context, check checker) (map[string]bool, error) {
	known := map[string]bool{}
	if _, r := a.tree.runtime(a.Runtime); r == nil {
		return known, nil // there is none yet
	}
	findings, err := check(ctx, []string{a.Runtime})
	for _, f := range manifest.Errors(findings) {
		known[f.Text()] = true
	}
	return known, err
}

// check loads the tree with the addition. Errors that are new are the addition's.
func (a *Addition) check(ctx context.Context, before map[string]bool) error {
	project, err := a.tree.Open(ctx)
	if err != nil {
		return err
	}
	if err := a.prove(project.Tree); err != nil {
		return err
	}
	findings, err := project.Check(ctx, []string{a.Runtime})
	if err != nil {
		return err
	}
	faults := slices.DeleteFunc(manifest.Errors(findings), func(f manifest.Finding) bool { return before[f.Text()] })
	if len(faults) > 0 {
		return &manifest.InvalidError{Findings: faults}
	}
	return nil
}

// write writes everything. undo takes back what was written, also after an error.
func (a *Addition) write() (undo func() error, err error) {
	var done []func() error
	undo = func() error {
		var errs []error
		for _, one := range slices.Backward(done) {
			errs = append(errs, one())
		}
		return errors.Join(errs...)
	}
	if err := a.writeFiles(&done); err != nil {
		return undo, err
	}
	patch := a.manifestsLast()
	if err := patch.Write(); err != nil {
		return undo, err
	}
	done = append(done, reversed(patch).Write)
	return undo, nil
}

// manifestsLast is the patch in the order in which it is written: with the manifests
// the addition is there, and a run that is killed before can be done once more.
func (a *Addition) manifestsLast() *pin.Patch {
	patch := &pin.Patch{Files: slices.Clone(a.Patch.Files)}
	page := func(f pin.PatchedFile) int {
		if filepath.Base(f.Path) == readmeName {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(patch.Files, func(x, y pin.PatchedFile) int { return page(x) - page(y) })
	return patch
}

// reversed is the patch that takes a patch back.
func reversed(patch *pin.Patch) *pin.Patch {
	back := &pin.Patch{}
	for _, f := range patch.Files {
		back.Files = append(back.Files, pin.PatchedFile{Path: f.Path, Old: f.New, New: f.Old, Mode: f.Mode})
	}
	return back
}

// writeFiles writes the new files into a folder beside the place, and moves them there
// when all are complete: a whole folder at once.
func (a *Addition) writeFiles(done *[]func() error) (err error) {
	if len(a.Files) == 0 {
		return nil
	}
	folder := a.tree.path(a.Folder)
	parent := filepath.Dir(folder)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		*done = append(*done, func() error { return os.Remove(parent) })
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	prefix := "." + path.Base(a.Folder) + ".rtbuild-"
	if err := removeLeft(parent, prefix); err != nil {
		return err
	}
	staging, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	for i, f := range a.Files {
		name := fmt.Sprint(i)
		if a.whole {
			name, err = filepath.Rel(folder, a.tree.path(f.Path))
		}
		if err != nil {
			return err
		}
		if err := f.write(filepath.Join(staging, name)); err != nil {
			return err
		}
	}
	if a.whole {
		if err := os.Chmod(staging, 0o755); err != nil {
			return err
		}
		return move(staging, folder, done)
	}
	for i, f := range a.Files {
		if err := move(filepath.Join(staging, fmt.Sprint(i)), a.tree.path(f.Path), done); err != nil {
			return err
		}
	}
	return nil
}

// removeLeft removes what runs left in a folder that were killed: what has this prefix.
func removeLeft(folder, prefix string) error {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry.Name())))
		}
	}
	return err
}

// move gives a file or folder its name, which must not be taken.
func move(from, to string, done *[]func() error) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already", to)
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	*done = append(*done, func() error { return os.RemoveAll(to) })
	return nil
}

// in tells whether the file is at a path already.
func (f File) in(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().IsRegular() != (f.Link == "") {
		return false
	}
	if f.Link != "" {
		link, err := os.Readlink(path)
		return err == nil && link == f.Link
	}
	content, err := os.ReadFile(path)
	return err == nil && bytes.Equal(content, f.Content)
}

// write writes the file to a path.
func (f File) write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if f.Link != "" {
		return os.Symlink(f.Link, path)
	}
	return os.WriteFile(path, f.Content, f.Mode)
}
