package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
		return usagef("--only %s: only %s can be asked for", o.only, configmap.Key)
	}
	return nil
}

func (a *app) configMapCommand() *cobra.Command {
	var o configMapOptions
	cmd := &cobra.Command{
		Use:   "configmap",
		Short: "Print the merged ConfigMap",
		Long: `Print the ConfigMap that the controller reads: the manifests under
runtime-images, and the other keys with their defaults or what rtbuild.yaml
sets. The controller reads it when it starts: restart it after applying.

With --registry, the images that this tree builds are named there.`,
		Example: `  rtbuild configmap | kubectl apply -f -
  rtbuild configmap --namespace-object | kubectl apply -f -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.withTree(cmd, (*session).loadManifests, func(ctx context.Context, s *session) error { return s.printConfigMap(ctx, o) })
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

// loadManifests loads what the ConfigMap is made of: which images this tree builds
// matters only where they are named elsewhere.
func (s *session) loadManifests(ctx context.Context) error {
	if s.registry != "" {
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
					s.app.notef("note: %s (%s %s %s) has no digest", image.Ref, r.ID, v.Version, image.Phase)
				}
			}
		}
	}
}

func (s *session) printConfigMap(ctx context.Context, o configMapOptions) error {
	if err := s.project.Tree.Valid(); err != nil {
		return err
	}
	destination, err := s.destination(ctx)
	if err != nil {
		return err
	}
	c, err := s.project.ConfigMap(destination, configmap.Options{OnlyRuntimes: o.only != "", NamespaceObject: o.namespaceObject, ServerSide: o.serverSide})
	if err != nil {
		return err
	}
	if o.only != "" {
		s.app.warnf("this ConfigMap holds %s alone: applying it over one that was applied with the other keys deletes those, and the controller does not start without them; kubectl patch --type merge keeps them", configmap.Key)
	}
	s.noteUnpinned()
	out, err := s.app.format.configMap(c)
	if err != nil {
		return err
	}
	if _, err := s.app.streams.Out.Write(out); err != nil {
		return fmt.Errorf("printing the ConfigMap: %w", err)
	}
	return nil
}
