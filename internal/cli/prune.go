package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/internal/registryserver"
	"github.com/rtbuild/rtbuild/pkg/prune"
)

type pruneOptions struct {
	releases, days int
	delete         bool
}

// prunedImage is an image that nothing needs, as prune prints it.
type prunedImage struct {
	prune.Stored
	Deleted bool `json:"deleted"`
}

func (a *app) pruneCommand() *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "List images at the registry that nothing needs, and with --delete delete them",
		Long: `List the images that rtbuild pushed under content tags and that nothing needs any
more, in the repositories that this tree builds; with --delete delete them. With
--verbose, also say what needs the others.

An image is needed if a tag stands for it that is no content tag; if the manifests
pin it, as they stand or in one of the last releases of any branch that git knows,
or at some time in the last days; if today's sources make it; and if a needed image
is built from it, or is an index that lists it.

Do not run it while a release runs elsewhere: what that pushed and has not pinned
yet is needed by nothing that can be seen.

Of the embedded registry (--registry local), --delete also frees the space on the
disk, for which nobody else may serve its folder. Another registry frees it when its
own garbage collection runs. The cache of the build engine is not touched.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.releases < 0 || o.days < 0 {
				return invocation.Usagef("--keep-releases and --keep-days are 0 or more")
			}
			return a.with(cmd, func(ctx context.Context, s *session) error { return s.prune(ctx, o) })
		},
	}
	cmd.Flags().IntVar(&o.releases, "keep-releases", 10, "keep what the last `N` releases of each branch pin")
	cmd.Flags().IntVar(&o.days, "keep-days", 30, "keep what was pinned in the last `M` days")
	cmd.Flags().BoolVar(&o.delete, "delete", false, "delete them; without it nothing is changed")
	return cmd
}

func (s *session) prune(ctx context.Context, o pruneOptions) error {
	if o.delete {
		unlock, err := s.app.alone()
		if err != nil {
			return err
		}
		defer unlock()
	}
	edges, options, err := s.wire(ctx, nil, runOptions{push: true})
	if err != nil {
		return err
	}
	log, err := git.Open(ctx, s.Root)
	if err != nil {
		return fmt.Errorf("the history tells what was released: %w", err)
	}
	keep := prune.Retention{Releases: o.releases, Since: time.Now().AddDate(0, 0, -o.days)}
	images, err := prune.Find(ctx, s.project, s.registryClient(), log, edges, options, keep)
	if err != nil {
		return err
	}
	var deleted []string
	if o.delete {
		deleted, err = prune.Delete(ctx, s.registryClient(), images)
	}
	err = errors.Join(err, s.printPruned(images, deleted, o))
	if err != nil || !o.delete {
		return err
	}
	// Also where nothing was to be deleted: a run before may have come no further.
	return s.collect(ctx)
}

// printPruned prints what nothing needs, and the totals.
func (s *session) printPruned(images []prune.Stored, deleted []string, o pruneOptions) error {
	gone := map[string]bool{}
	for _, ref := range deleted {
		gone[ref] = true
	}
	pruned, rows := []prunedImage{}, [][]string{}
	for _, image := range images {
		if image.Needed() {
			if s.app.Flags.Verbose {
				s.app.Notef("stays: %s@%s: %s", image, shortDigest(image.Digest), image.Reason)
			}
			continue
		}
		one := prunedImage{image, gone[image.Repository+"@"+image.Digest]}
		pruned = append(pruned, one)
		rows = append(rows, []string{image.Repository, strings.Join(image.Tags, ","), image.Digest})
	}
	err := s.app.print(pruned, func(out io.Writer) error {
		if len(rows) == 0 {
			return nil
		}
		return table(out, []string{"REPOSITORY", "TAGS", "DIGEST"}, rows)
	})
	switch {
	case o.delete:
		s.app.Notef("deleted %d of %d images at the registry", len(pruned), len(images))
	case len(pruned) == 0:
		s.app.Notef("all %d images at the registry are needed", len(images))
	default:
		s.app.Notef("%d of %d images at the registry are not needed; nothing is deleted: rtbuild prune --delete does that", len(pruned), len(images))
	}
	return err
}

// collect frees what the embedded registry, if it is the one, holds of deleted
// images.
func (s *session) collect(ctx context.Context) error {
	if s.local == nil {
		return nil
	}
	folder, err := s.app.stateFolder("registry")
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	s.local = nil
	freed, err := registryserver.Collect(ctx, folder)
	if err != nil {
		return err
	}
	s.app.Notef("freed %d MB in %s", freed/1e6, folder)
	return nil
}
