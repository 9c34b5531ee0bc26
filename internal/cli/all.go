package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/published"
)

func (a *app) allCommand() *cobra.Command {
	var run runOptions
	var configMap published.Options
	cmd := &cobra.Command{
		Use:   "all [NAME...]",
		Short: "Build, push, resolve, pin, and print the ConfigMap",
		Long: `Build every image that the registry does not have, push it under a tag of its
content, and ask the registry for its digest. When all are there, move the
version tags, write the digests into the manifests, and print the ConfigMap.

If anything fails, tags and manifests are as they were, and the next run goes on
with what is missing. Without --push the images are built, and nothing else.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := configMap.Check(); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, s *session) error {
				if err := s.project.Releasable(args); err != nil {
					return err
				}
				changed, err := s.all(ctx, args, run)
				if err != nil {
					return err
				}
				if changed {
					if err := s.load(ctx); err != nil {
						return err
					}
				}
				return s.printConfigMap(ctx, configMap)
			})
		},
	}
	run.flags(cmd.Flags(), "push the images and pin their digests")
	configMap.Flags(cmd.Flags())
	return cmd
}

// all does everything but print the ConfigMap, and tells whether it changed the
// manifests.
func (s *session) all(ctx context.Context, names []string, o runOptions) (changed bool, err error) {
	result, err := s.release(ctx, names, o, true)
	if err != nil {
		if result != nil {
			err = fmt.Errorf("%w; nothing is pinned", err)
		}
		return false, err
	}
	if !o.push {
		s.app.Notef("nothing is pinned: images have digests once they are pushed (--push)")
		return false, nil
	}
	if !s.app.Flags.Quiet {
		if err := pinTable(s.app.Streams.Err, s.app.describePins(result.Pins)); err != nil {
			return false, err
		}
	}
	s.app.Notef("%s", pinTotals(result.Pins, false))
	return len(result.Pins.Files) > 0, nil
}
