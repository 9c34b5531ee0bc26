package docker

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

// byLabels selects what carries these labels.
func byLabels(labels map[string]string) filters.Args {
	args := filters.NewArgs()
	for key, value := range labels {
		args.Add("label", key+"="+value)
	}
	return args
}

// EnsureNetwork implements containers.Host. Engines let two who ask at once make
// two networks of one name: whoever finds an older one than its own gives its
// own up.
func (c *Engine) EnsureNetwork(ctx context.Context, name string, labels map[string]string) error {
	if found, err := c.networks(ctx, name); err != nil || len(found) > 0 {
		return err
	}
	making, cancel := uncancelled(ctx)
	defer cancel()
	made, err := c.api.NetworkCreate(making, name, network.CreateOptions{Driver: "bridge", Labels: labels})
	if err != nil && !errdefs.IsConflict(err) {
		return fmt.Errorf("creating network %s: %w", name, err)
	}
	found, err := c.networks(ctx, name)
	if err != nil || made.ID == "" {
		return err
	}
	oldest := found[0]
	for _, n := range found {
		if n.Created.Before(oldest.Created) {
			oldest = n
		}
	}
	if oldest.ID == made.ID {
		return nil
	}
	if err := c.api.NetworkRemove(ctx, made.ID); err != nil {
		return fmt.Errorf("removing the second network %s: %w", name, err)
	}
	return nil
}

// networks are those of exactly this name.
func (c *Engine) networks(ctx context.Context, name string) ([]network.Summary, error) {
	listed, err := c.api.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", name))})
	if err != nil {
		return nil, fmt.Errorf("listing networks: %w", err)
	}
	var found []network.Summary
	for _, n := range listed {
		if n.Name == name {
			found = append(found, n)
		}
	}
	return found, nil
}

// RemoveNetwork implements containers.Host.
func (c *Engine) RemoveNetwork(ctx context.Context, name string) error {
	err := c.api.NetworkRemove(ctx, name)
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsPermissionDenied(err) {
		return nil // an engine calls a network that is in use forbidden
	}
	return fmt.Errorf("removing network %s: %w", name, err)
}
