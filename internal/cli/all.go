package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/release"
)

func (a *app) allCommand() *cobra.Command {
	var push bool
	var o configMapOptions
	cmd := &cobra.Command{
		Use:   "all [NAME...]",
		Short: "Build, push, resolve, pin, and print the ConfigMap",
		Long: `Build every image, push it, ask the registry for its digest, write the digests
into the manifests, and print the ConfigMap. If anything fails, no manifest is
changed.

Without --push the images are built, and the manifests stay as they are.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := o.check(); err != nil {
				return err
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			return s.all(cmd, args, push, o)
		},
	}
	cmd.Flags().BoolVar(&push, "push", false, "push the images and pin their digests")
	o.flags(cmd.Flags())
	return cmd
}

func (s *session) all(cmd *cobra.Command, names []string, push bool, o configMapOptions) error {
	ctx := cmd.Context()
	if err := s.project.Releasable(); err != nil {
		return err
	}
	outcomes, err := s.build(ctx, names, push)
	if err != nil {
		return err
	}
	if err := s.app.failures(outcomes); err != nil {
		return fmt.Errorf("%w; nothing is pinned", err)
	}
	if !push {
		s.app.notef("nothing is pinned: images have digests once they are pushed (--push)")
		return s.printConfigMap(ctx, o)
	}
	plan, err := s.project.Pin(ctx, release.PinOutcomes(outcomes))
	if err != nil {
		return fmt.Errorf("%w\nthe images are pushed, but nothing is pinned", err)
	}
	if err := plan.Write(); err != nil {
		return fmt.Errorf("%w\nthe images are pushed, but nothing is pinned", err)
	}
	if !s.app.flags.quiet {
		if err := pinTable(s.app.streams.Err, s.app.describePins(plan)); err != nil {
			return err
		}
	}
	s.app.notef("%s", pinTotals(plan, false))
	if err := s.load(ctx); err != nil {
		return err
	}
	return s.printConfigMap(ctx, o)
}
