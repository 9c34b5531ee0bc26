package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
)

var (
	// ErrUnknownRevision says that the clone has no such commit.
	ErrUnknownRevision = errors.New("not in this clone")
	// ErrNoTree says that the commit does not have the folder that the tree is in.
	ErrNoTree = errors.New("the tree's folder is not in it")
	// ErrShallow says that the answer lies before the commits that a shallow clone has.
	ErrShallow = errors.New("this clone is shallow: run git fetch --unshallow, or set fetch-depth: 0 where a CI job checks out")
)

// A History knows what the tree was. It is the edge to version control.
type History interface {
	// Export writes what the tree held at rev into dir, an empty folder, as a
	// checkout of rev would have it, with what its manifests may import from around
	// it. Root is where it is then: dir, or a folder in it. A submodule whose commit no clone here has
	// becomes a folder that no checkout equals. The error wraps
	// ErrUnknownRevision where the clone lacks rev, and ErrShallow as well where
	// that is why; or ErrNoTree.
	Export(ctx context.Context, rev, dir string) (root string, err error)
	// Unfilled are the submodules of the tree as it is now that are not checked
	// out, relative to its root, with forward slashes.
	Unfilled(ctx context.Context) ([]string, error)
}

// A Snapshot is what a tree comes to.
type Snapshot struct {
	Images *build.Prepared
	// Versions are the project's Definitions.
	Versions map[VersionName]string
}

// A difference is what changed in a tree since a revision.
type difference struct {
	// Targets are names.
	Targets map[string]bool
	// Whole says why all targets are in it; "" where the trees were compared.
	Whole string
	// Before are the Definitions of the revision; nil where Whole says why.
	Before map[VersionName]string
}

// since compares what targets are made of today with what they were made of at
// a revision. prepare says what the tree that lies in a folder comes to, all of it.
//
// Where there is nothing to compare with, all targets count: rev is not a commit
// (forty zeros, as hosts name what came before a new branch), it is a commit
// that a complete clone lacks (what was there before a forced push), or its
// tree was not there yet or cannot be prepared. A commit that a shallow clone lacks is an error that
// wraps ErrShallow, another name that means nothing one that wraps
// ErrUnknownRevision. It is an error, too, if a submodule in the context of one
// of the targets is not checked out: the answer would be another one if it were.
func since(ctx context.Context, history History, rev string, today *build.Prepared, prepare func(ctx context.Context, dir string) (*Snapshot, error)) (*difference, error) {
	if err := filled(ctx, history, today); err != nil {
		return nil, err
	}
	if isObjectID(rev) && strings.Trim(rev, "0") == "" {
		return whole(today, "it is not a commit: nothing came before"), nil
	}
	dir, err := os.MkdirTemp("", "rtbuild-since-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// What is prepared names its root as the evaluator does, without links.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	root, err := history.Export(ctx, rev, dir)
	if errors.Is(err, ErrNoTree) || errors.Is(err, ErrUnknownRevision) && !errors.Is(err, ErrShallow) && isObjectID(rev) {
		return whole(today, err.Error()), nil
	}
	if err != nil {
		return nil, err
	}
	before, err := prepare(ctx, root)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return whole(today, "the tree of that revision cannot be read: "+strings.ReplaceAll(err.Error(), root+string(filepath.Separator), "")), nil
	}
	return &difference{Targets: affected(before.Images, today), Before: before.Versions}, nil
}

// lookingBackOnce are edges that look at the tree of one revision, and once.
func (e Edges) lookingBackOnce() Edges {
	open, prepare := e.OpenHistory, e.Past
	var history *exportedOnce
	var before *Snapshot
	var beforeErr error
	e.OpenHistory = func(ctx context.Context) (History, error) {
		if history == nil {
			opened, err := open(ctx)
			if err != nil {
				return nil, err
			}
			history = &exportedOnce{History: opened}
		}
		return history, nil
	}
	e.Past = func(ctx context.Context, dir string) (*Snapshot, error) {
		if before == nil && beforeErr == nil {
			before, beforeErr = prepare(ctx, dir)
		}
		return before, beforeErr
	}
	return e
}

// exportedOnce is a history whose tree at a revision is written once.
type exportedOnce struct {
	History
	done bool
	root string
	err  error
}

// Export implements History.
func (x *exportedOnce) Export(ctx context.Context, rev, dir string) (root string, err error) {
	if !x.done {
		x.done = true
		x.root, x.err = x.History.Export(ctx, rev, dir)
	}
	return x.root, x.err
}

// filled wants the submodules in the targets' contexts to be checked out.
func filled(ctx context.Context, history History, today *build.Prepared) error {
	unfilled, err := history.Unfilled(ctx)
	if err != nil {
		return err
	}
	for _, submodule := range unfilled {
		i := slices.IndexFunc(today.Steps, func(step build.PreparedStep) bool {
			return holds(step.Context, submodule) || holds(submodule, step.Context)
		})
		if i >= 0 {
			return fmt.Errorf("the submodule %s, in the build context of %s, is not checked out, so it is not known whether it changed: run git submodule update --init --recursive, or set submodules: recursive where a CI job checks out", submodule, today.Steps[i].Name)
		}
	}
	return nil
}

// holds tells whether a path is a folder or lies in it; both are relative, with
// forward slashes.
func holds(folder, path string) bool {
	return folder == "." || path == folder || strings.HasPrefix(path, folder+"/")
}

// isObjectID tells whether rev is the whole id of a commit, as programs name
// one, and no name that people mistype.
func isObjectID(rev string) bool {
	return (len(rev) == 40 || len(rev) == 64) && strings.Trim(strings.ToLower(rev), "0123456789abcdef") == ""
}

func whole(today *build.Prepared, why string) *difference {
	return &difference{Targets: affected(&build.Prepared{}, today), Whole: why}
}

// notKnown are the names of the steps of which nobody knows what their images are
// made of, and why that is for the first of them.
func notKnown(today *build.Prepared) (images []string, why string) {
	for _, step := range today.Steps {
		if step.Fingerprint != "" {
			continue
		}
		if images = append(images, step.Name); len(images) > 1 {
			continue
		}
		if why = "a base image is not locked, and its registry cannot be asked"; step.Err != nil {
			why = step.Err.Error()
		}
	}
	return images, why
}

// affected are the names of the steps whose images are made of something else
// than in another state of the tree, have other version tags, or are new in it.
// Steps whose inputs cannot be known count.
func affected(before, after *build.Prepared) map[string]bool {
	known := map[string]build.PreparedStep{}
	for _, step := range before.Steps {
		known[step.Name] = step
	}
	affected := map[string]bool{}
	for _, step := range after.Steps {
		was := known[step.Name]
		if step.Fingerprint == "" || was.Fingerprint != step.Fingerprint || !slices.Equal(step.References(""), was.References("")) {
			affected[step.Name] = true
		}
	}
	return affected
}
