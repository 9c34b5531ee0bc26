package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/release"
)

// Export writes what the root held at rev into dir, which must be empty or
// missing: files, as a checkout of rev would have them, executable bits and
// symbolic links, and submodules, as far as their clones beside the root have
// the commits. Root is where it is below dir: in the place that it has in the
// repository, of which the Jsonnet files are there, too, since manifests import
// libraries from above the root. The error wraps ErrUnknownRevision if the clone lacks rev, and
// release.ErrNoTree if rev lacks the root. After an error, dir is empty.
//
// It is a checkout, not git archive, because that leaves out and changes files
// for which .gitattributes has export-ignore and export-subst. Git itself refuses
// names that lead out of a work tree.
func (r *Repository) Export(ctx context.Context, rev, dir string) (root string, err error) {
	commit, err := r.revision(ctx, rev)
	if err != nil {
		return "", err
	}
	if err := r.export(ctx, commit, dir); err != nil {
		return "", fmt.Errorf("exporting git revision %s: %w", rev, err)
	}
	return filepath.Join(dir, filepath.FromSlash(r.prefix)), nil
}

func (r *Repository) export(ctx context.Context, commit, dir string) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	present, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(present) > 0 {
		return fmt.Errorf("folder %s is not empty", dir)
	}
	staging, err := os.MkdirTemp(dir, ".rtbuild-export-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	tree := filepath.Join(staging, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if err := r.checkout(ctx, commit, tree, filepath.Join(staging, "index")); err != nil {
		return err
	}
	return moveAll(tree, dir)
}

// checkout writes what the root held at commit into tree, in the place that the
// root has in the repository, and the Jsonnet files around it. The repository's own index stays untouched.
func (r *Repository) checkout(ctx context.Context, commit, tree, index string) error {
	out, err := r.git(ctx, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return err
	}
	git := func(stdin []byte, args ...string) ([]byte, error) {
		return run(ctx, command{
			dir:  tree,
			args: args,
			env:  []string{"GIT_DIR=" + strings.TrimSuffix(string(out), "\n"), "GIT_WORK_TREE=" + tree, "GIT_INDEX_FILE=" + index},
			// No hook, no daemon, nothing beside the index, no file left out.
			config: []string{"core.hooksPath=" + os.DevNull, "core.fsmonitor=false", "core.splitIndex=false", "core.sparseCheckout=false"},
			stdin:  stdin,
		})
	}
	// All of it, since .gitattributes above the root count too.
	if _, err := git(nil, "read-tree", commit); err != nil {
		return err
	}
	list := []string{"ls-files", "-z"}
	if r.prefix != "" {
		// The slash at its end keeps out a link in the folder's place.
		list = append(list, "--", r.prefix)
	}
	names, err := git(nil, list...)
	if err != nil {
		return err
	}
	if len(names) == 0 && r.prefix != "" {
		return fmt.Errorf("it has no folder %s: %w", r.prefix, release.ErrNoTree)
	}
	if r.prefix != "" {
		all, err := git(nil, "ls-files", "-z")
		if err != nil {
			return err
		}
		for name := range strings.SplitSeq(string(all), "\x00") {
			if isJsonnet := strings.HasSuffix(name, ".jsonnet") || strings.HasSuffix(name, ".libsonnet"); isJsonnet && !strings.HasPrefix(name, r.prefix) {
				names = append(names, name+"\x00"...)
			}
		}
	}
	if _, err := git(names, "checkout-index", "-z", "--stdin"); err != nil {
		return err
	}
	staged, err := git(nil, append([]string{"ls-files", "--stage", "-z"}, list[2:]...)...)
	if err != nil {
		return err
	}
	return r.exportSubmodules(ctx, gitlinks(staged), tree)
}

// moveAll moves what is in the folder from into the empty folder to, or nothing.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name()))
		if err == nil {
			continue
		}
		for _, moved := range entries[:i] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(to, moved.Name())))
		}
		return err
	}
	return nil
}
