// Package published prints what is published: the ConfigMap, and what to know of
// it.
package published

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/configmap"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// Controller is the Deployment of the function controller, as its own manifest
// names it.
const Controller = "kubeless-controller-manager"

// Options are the flags of every command that prints the ConfigMap.
type Options struct {
	Only            string
	NamespaceObject bool
	ServerSide      bool
}

// Flags adds the flags to a command's.
func (o *Options) Flags(set *pflag.FlagSet) {
	set.StringVar(&o.Only, "only", "", "print only this `KEY`; only runtime-images can be asked for")
	set.BoolVar(&o.NamespaceObject, "namespace-object", false, "print the Namespace before the ConfigMap")
	set.BoolVar(&o.ServerSide, "server-side", false, "it will be applied with kubectl apply --server-side, which takes larger ones")
}

// Check tells whether the flags can be followed.
func (o *Options) Check() error {
	if o.Only != "" && o.Only != configmap.Key {
		return invocation.Usagef("--only %s: only %s can be asked for", o.Only, configmap.Key)
	}
	return nil
}

// Make makes the ConfigMap of a valid tree, and tells which images in it have no
// digest. replace gives references that stand in for those in it, by JSON pointer.
func (o *Options) Make(i *invocation.Invocation, tree *manifest.Tree, replace map[string]string, settings config.Published) (*configmap.ConfigMap, error) {
	opts := configmap.Options{OnlyRuntimes: o.Only != "", NamespaceObject: o.NamespaceObject, ServerSide: o.ServerSide}
	c, err := configmap.New(tree.JSON, replace, opts.With(settings))
	if err != nil {
		return nil, err
	}
	for _, r := range tree.Runtimes {
		for _, v := range r.Versions {
			for _, image := range v.Images {
				if image.Ref.Digest == "" {
					i.Notef("note: %s (%s %s %s) has no digest", image.Ref, r.ID, v.Version, image.Phase)
				}
			}
		}
	}
	return c, nil
}

// Print prints the ConfigMap in a form that encode makes, and tells what to know
// before it is applied.
func (o *Options) Print(i *invocation.Invocation, c *configmap.ConfigMap, encode func(*configmap.ConfigMap) ([]byte, error)) error {
	out, err := encode(c)
	if err != nil {
		return err
	}
	if o.Only != "" {
		i.Warnf("this ConfigMap holds %s alone: applying it over one that was applied with the other keys deletes those, and the controller does not start without them; kubectl patch --type merge keeps them", configmap.Key)
	}
	if _, err := i.Streams.Out.Write(out); err != nil {
		return fmt.Errorf("printing the ConfigMap: %w", err)
	}
	NoteRestart(i, c.Namespace())
	return nil
}

// NoteRestart tells what a running controller needs to read the ConfigMap.
func NoteRestart(i *invocation.Invocation, namespace string) {
	i.Notef("note: a running controller reads the ConfigMap only when it starts; once it is applied: kubectl rollout restart --namespace %s deployment/%s", namespace, Controller)
}
