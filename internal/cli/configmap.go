package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/published"
	"github.com/rtbuild/rtbuild/pkg/configmap"
)

func (a *app) configMapCommand() *cobra.Command {
	var o published.Options
	var live liveOptions
	cmd := &cobra.Command{
		Use:   "configmap",
		Short: "Print the merged ConfigMap",
		Long: `Print the ConfigMap that the controller reads: the manifests under
runtime-images, and the other keys with their defaults or what rtbuild.yaml
sets. The controller reads it when it starts: restart it after applying.

With --registry, the images that this tree builds are named there.

With --diff, print instead what applying it would change in the cluster: the
versions of runtimes that come and go, the images that are pinned to others, and
other keys. With --apply, apply it and print what that changed. Both run
kubectl, so the cluster is the one of its current context or of --context. The
server tries the ConfigMap first, without effect. It is applied on the server's
side as the field manager rtbuild, which takes over what others set under the
same keys. All other keys stay.`,
		Example: `  rtbuild configmap | kubectl apply -f -
  rtbuild configmap --namespace-object | kubectl apply -f -
  rtbuild configmap --diff
  rtbuild configmap --apply --restart-controller --wait`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(o.Check(), live.check()); err != nil {
				return err
			}
			return a.withSettings(cmd, func(ctx context.Context, s *session) error {
				if live.apply || live.diff {
					return s.publishConfigMap(ctx, o, live)
				}
				return s.printConfigMap(ctx, o)
			})
		},
	}
	o.Flags(cmd.Flags())
	live.flags(cmd.Flags())
	return cmd
}

// makeConfigMap makes the ConfigMap of the manifests, and tells which images in
// it have no digest. Which images this tree builds matters only where they are named
// elsewhere.
func (s *session) makeConfigMap(ctx context.Context, o published.Options) (*configmap.ConfigMap, error) {
	if s.project == nil && s.Registry == "" {
		tree, err := s.app.Manifests(ctx, s.Settings)
		if err == nil {
			err = tree.Valid()
		}
		if err != nil {
			return nil, err
		}
		return o.Make(&s.app.Invocation, tree, nil, s.Config.ConfigMap)
	}
	if s.project == nil {
		if err := s.load(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.project.Tree.Valid(); err != nil {
		return nil, err
	}
	destination, err := s.destination(ctx)
	if err != nil {
		return nil, err
	}
	return o.Make(&s.app.Invocation, s.project.Tree, s.project.Relocated(destination), s.Config.ConfigMap)
}

func (s *session) printConfigMap(ctx context.Context, o published.Options) error {
	c, err := s.makeConfigMap(ctx, o)
	if err != nil {
		return err
	}
	return o.Print(&s.app.Invocation, c, s.app.format.configMap)
}
