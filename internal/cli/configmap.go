package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/configmap"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// configMapOptions are the flags of every command that prints the ConfigMap.
type configMapOptions struct {
	only            string
	namespaceObject bool
	serverSide      bool
}

func (o *configMapOptions) flags(set *pflag.FlagSet) {
	set.StringVar(&o.only, "only", "", "print only this `KEY`; only runtime-images can be asked for")
	set.BoolVar(&o.namespaceObject, "namespace-object", false, "print the Namespace before the ConfigMap")
	set.BoolVar(&o.serverSide, "server-side", false, "it will be applied with kubectl apply --server-side, which takes larger ones")
}

func (o *configMapOptions) check() error {
	if o.only != "" && o.only != configmap.Key {
		return invocation.Usagef("--only %s: only %s can be asked for", o.only, configmap.Key)
	}
	return nil
}

func (a *app) configMapCommand() *cobra.Command {
	var o configMapOptions
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
			if err := errors.Join(o.check(), live.check()); err != nil {
				return err
			}
			return a.withTree(cmd, (*session).loadManifests, func(ctx context.Context, s *session) error {
				if live.apply || live.diff {
					return s.publishConfigMap(ctx, o, live)
				}
				return s.printConfigMap(ctx, o)
			})
		},
	}
	o.flags(cmd.Flags())
	live.flags(cmd.Flags())
	return cmd
}

// loadManifests loads what the ConfigMap is made of: which images this tree builds
// matters only where they are named elsewhere.
func (s *session) loadManifests(ctx context.Context) error {
	if s.Registry != "" {
		return s.load(ctx)
	}
	return s.loadWith(ctx, release.OpenManifests)
}

// noteUnpinned tells of the images that have no digest yet.
func (s *session) noteUnpinned() {
	for _, r := range s.project.Tree.Runtimes {
		for _, v := range r.Versions {
			for _, image := range v.Images {
				if image.Ref.Digest == "" {
					s.app.Notef("note: %s (%s %s %s) has no digest", image.Ref, r.ID, v.Version, image.Phase)
				}
			}
		}
	}
}

// makeConfigMap makes the ConfigMap of the manifests, and tells which images in
// it have no digest.
func (s *session) makeConfigMap(ctx context.Context, o configMapOptions) (*configmap.ConfigMap, error) {
	if err := s.project.Tree.Valid(); err != nil {
		return nil, err
	}
	destination, err := s.destination(ctx)
	if err != nil {
		return nil, err
	}
	c, err := s.project.ConfigMap(destination, configmap.Options{OnlyRuntimes: o.only != "", NamespaceObject: o.namespaceObject, ServerSide: o.serverSide})
	if err != nil {
		return nil, err
	}
	s.noteUnpinned()
	return c, nil
}

func (s *session) printConfigMap(ctx context.Context, o configMapOptions) error {
	if o.only != "" {
		s.app.Warnf("this ConfigMap holds %s alone: applying it over one that was applied with the other keys deletes those, and the controller does not start without them; kubectl patch --type merge keeps them", configmap.Key)
	}
	c, err := s.makeConfigMap(ctx, o)
	if err != nil {
		return err
	}
	out, err := s.app.format.configMap(c)
	if err != nil {
		return err
	}
	if _, err := s.app.Streams.Out.Write(out); err != nil {
		return fmt.Errorf("printing the ConfigMap: %w", err)
	}
	s.app.noteRestart(c.Namespace())
	return nil
}
