package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A gitlink is a submodule as an index has it.
type gitlink struct {
	// path is relative to the top of the work tree, with forward slashes.
	path, commit string
}

// gitlinks reads those of git ls-files --stage -z.
func gitlinks(staged []byte) []gitlink {
	var links []gitlink
	for entry := range strings.SplitSeq(string(staged), "\x00") {
		fields, path, _ := strings.Cut(entry, "\t")
		if mode, rest, _ := strings.Cut(fields, " "); mode == "160000" {
			commit, _, _ := strings.Cut(rest, " ")
			links = append(links, gitlink{path, commit})
		}
	}
	return links
}

// unknownSubmodule is the name of a file instead of the content of a
// submodule that no clone here has. No checkout has it, so what reads the folder
// differs from any.
const unknownSubmodule = ".rtbuild-unknown-submodule"

// exportSubmodules writes the submodules of a checkout in tree, each as the
// clone of it beside the root has its commit.
func (r *Repository) exportSubmodules(ctx context.Context, links []gitlink, tree string) error {
	if len(links) == 0 {
		return nil
	}
	top, err := r.top(ctx)
	if err != nil {
		return err
	}
	for _, link := range links {
		dir := filepath.Join(tree, filepath.FromSlash(link.path))
		submodule, err := openSubmodule(ctx, top, link.path)
		if err == nil {
			err = submodule.exportTo(ctx, link.commit, dir)
		}
		if errors.Is(err, errUnfilled) || errors.Is(err, ErrUnknownRevision) {
			if err = os.MkdirAll(dir, 0o755); err == nil {
				err = os.WriteFile(filepath.Join(dir, unknownSubmodule), []byte(link.commit+"\n"), 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exportTo exports a submodule with the file that a checkout has there for git:
// it is in build contexts as well.
func (r *Repository) exportTo(ctx context.Context, commit, dir string) error {
	if _, err := r.Export(ctx, commit, dir); err != nil {
		return err
	}
	pointer := filepath.Join(r.root, ".git")
	if info, err := os.Lstat(pointer); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.ReadFile(pointer)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ".git"), content, 0o644)
}

// Unfilled are the submodules under the root, and those in them, that are not
// checked out: paths relative to the root, with forward slashes.
func (r *Repository) Unfilled(ctx context.Context) ([]string, error) {
	staged, err := r.git(ctx, "ls-files", "--stage", "--full-name", "-z")
	if err != nil {
		return nil, err
	}
	links := gitlinks(staged)
	if len(links) == 0 {
		return nil, nil
	}
	top, err := r.top(ctx)
	if err != nil {
		return nil, err
	}
	var unfilled []string
	for _, link := range links {
		name := strings.TrimPrefix(link.path, r.prefix)
		submodule, err := openSubmodule(ctx, top, link.path)
		if errors.Is(err, errUnfilled) {
			unfilled = append(unfilled, name)
			continue
		}
		if err != nil {
			return nil, err
		}
		inside, err := submodule.Unfilled(ctx)
		if err != nil {
			return nil, err
		}
		for _, nested := range inside {
			unfilled = append(unfilled, path.Join(name, nested))
		}
	}
	return unfilled, nil
}

var errUnfilled = errors.New("the submodule is not checked out")

// openSubmodule opens a submodule of the work tree at top. In a folder that is
// not filled git would find the repository around it.
func openSubmodule(ctx context.Context, top, link string) (*Repository, error) {
	dir := filepath.Join(top, filepath.FromSlash(link))
	if _, err := os.Lstat(filepath.Join(dir, ".git")); errors.Is(err, fs.ErrNotExist) {
		return nil, errUnfilled
	} else if err != nil {
		return nil, err
	}
	return Open(ctx, dir)
}

// top is the top of the work tree.
func (r *Repository) top(ctx context.Context) (string, error) {
	out, err := r.git(ctx, "rev-parse", "--show-toplevel")
	return strings.TrimSuffix(string(out), "\n"), err
}
