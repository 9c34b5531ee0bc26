package configmap

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
)

// A Cluster is a Kubernetes cluster.
type Cluster interface {
	// Get returns an object in JSON; nil if there is none.
	Get(ctx context.Context, kind, namespace, name string) ([]byte, error)
	// Apply applies objects in JSON on the server's side, as manager, taking over
	// fields of others. A dry run changes nothing and checks everything.
	Apply(ctx context.Context, objects []byte, manager string, dryRun bool) error
}

// Compare asks the cluster for the live ConfigMap and says what Apply would
// change in it.
func (c *ConfigMap) Compare(ctx context.Context, cluster Cluster) ([]Change, error) {
	live, err := c.live(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return c.Difference(live), nil
}

// Apply brings the ConfigMap into the cluster and says what that changed. The
// server tries it first, without effect. Keys that neither this ConfigMap nor
// the one applied before has stay as they are. The Namespace is made where
// Options.NamespaceObject asks for it and the cluster has none.
func (c *ConfigMap) Apply(ctx context.Context, cluster Cluster) ([]Change, error) {
	live, err := c.live(ctx, cluster)
	if err != nil {
		return nil, err
	}
	if err := c.applyNamespace(ctx, cluster); err != nil {
		return nil, err
	}
	object, err := c.applied(live)
	if err != nil {
		return nil, err
	}
	for _, dryRun := range []bool{true, false} {
		if err := cluster.Apply(ctx, object, fieldManager, dryRun); err != nil {
			return nil, fmt.Errorf("applying the ConfigMap %s to the namespace %s: %w", c.Name(), c.Namespace(), err)
		}
	}
	return c.Difference(live), nil
}

// Name is the ConfigMap's name.
func (c *ConfigMap) Name() string { return c.object.Metadata.Name }

// Namespace is the name of the ConfigMap's namespace.
func (c *ConfigMap) Namespace() string { return c.object.Metadata.Namespace }

// live is the cluster's ConfigMap, empty where there is none.
func (c *ConfigMap) live(ctx context.Context, cluster Cluster) (*Live, error) {
	object, err := cluster.Get(ctx, "configmap", c.Namespace(), c.Name())
	if err != nil {
		return nil, fmt.Errorf("asking for the ConfigMap %s in the namespace %s: %w", c.Name(), c.Namespace(), err)
	}
	if object == nil {
		return &Live{}, nil
	}
	return ParseLive(object)
}

// applyNamespace is before the dry run of the ConfigMap, which fails as long as
// there is no namespace.
func (c *ConfigMap) applyNamespace(ctx context.Context, cluster Cluster) error {
	if c.namespace == nil {
		return nil
	}
	name := c.namespace.Metadata.Name
	there, err := cluster.Get(ctx, "namespace", "", name)
	if err != nil {
		return fmt.Errorf("asking for the namespace %s: %w", name, err)
	}
	if there != nil {
		return nil
	}
	object, err := json.Marshal(c.namespace)
	if err != nil {
		return fmt.Errorf("printing the namespace %s: %w", name, err)
	}
	if err := cluster.Apply(ctx, object, fieldManager, false); err != nil {
		return fmt.Errorf("making the namespace %s: %w", name, err)
	}
	return nil
}

// applied is the object to apply over live: this one, with the keys of others
// that would be lost, and a note of which are ours.
func (c *ConfigMap) applied(live *Live) ([]byte, error) {
	data := maps.Clone(c.object.Data)
	carried := c.carried(live)
	maps.Copy(data, carried)
	object := struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]any    `json:"metadata"`
		Data       map[string]string `json:"data"`
	}{c.object.APIVersion, c.object.Kind, map[string]any{
		"name": c.Name(), "namespace": c.Namespace(),
		"annotations": c.notes(live, carried),
	}, data}
	encoded, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("printing the ConfigMap: %w", err)
	}
	return encoded, nil
}
