package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/release"
)

func (a *app) lockCommand() *cobra.Command {
	var update bool
	cmd := &cobra.Command{
		Use:   "lock [IMAGE...]",
		Short: "Write the digests of base images into rtbuild.lock",
		Long: `Look up every base image that the lock file does not have, and drop those that
no Dockerfile names any more. With --update, look up the others as well: all of
them, or the images given.

Builds take base images by these digests, whichever way tags move. Commit the
file.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				if len(args) > 0 && !update {
					return invocation.Usagef("rtbuild lock takes images with --update only: rtbuild lock --update %s", args[0])
				}
				unlock, err := a.alone()
				if err != nil {
					return err
				}
				defer unlock()
				bases, err := s.lockedBases(ctx)
				if err != nil {
					return err
				}
				changes, err := s.project.Lock(ctx, bases, s.lockedPlatforms(), update && len(args) == 0, args)
				if err != nil {
					return err
				}
				if err := bases.Save(); err != nil {
					return err
				}
				return a.print(notNil(changes), func(out io.Writer) error { return lockTable(out, changes) })
			})
		},
	}
	cmd.Flags().BoolVar(&update, "update", false, "also look up the images that are locked already")
	return cmd
}

// lockedBases opens the lock file.
func (s *session) lockedBases(ctx context.Context) (*release.Bases, error) {
	return s.openBases(ctx, s.LockPath(), s.registryClient(), release.LockAdd)
}

// lockedPlatforms are those that base images are locked for. An engine elsewhere is
// not asked for its own: what it lacks is added by the first build.
func (s *session) lockedPlatforms() []string {
	if len(s.Platforms) > 0 {
		return s.Platforms
	}
	return []string{build.HostPlatform()}
}

func lockTable(out io.Writer, changes []release.LockChange) error {
	if len(changes) == 0 {
		return nil
	}
	var rows [][]string
	for _, c := range changes {
		rows = append(rows, []string{c.Image, shortDigest(dash(c.Old)), "→", shortDigest(dash(c.New))})
	}
	return table(out, []string{"IMAGE", "OLD", "", "NEW"}, rows)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
