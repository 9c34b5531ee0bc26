package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"

	"github.com/rtbuild/rtbuild/pkg/contract"
)

// A runningContainer is a contract.Server.
type runningContainer struct {
	containers *Containers
	id, url    string
}

// Start implements contract.Engine.
func (c *Containers) Start(ctx context.Context, spec contract.Container) (contract.Server, error) {
	id, err := c.create(ctx, spec)
	if err != nil {
		return nil, err
	}
	r := &runningContainer{containers: c, id: id}
	if r.url, err = c.start(ctx, id, spec.Port); err != nil {
		return nil, errors.Join(err, r.Remove(ctx))
	}
	return r, nil
}

// start starts a container and finds where its port is published.
func (c *Containers) start(ctx context.Context, id string, port int) (string, error) {
	if err := c.api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return "", fmt.Errorf("starting a container: %w", err)
	}
	inspected, err := c.api.ContainerInspect(ctx, id)
	if err != nil {
		return "", fmt.Errorf("inspecting a container: %w", err)
	}
	bindings := inspected.NetworkSettings.Ports[nat.Port(strconv.Itoa(port)+"/tcp")]
	if len(bindings) == 0 {
		// A container that has ended has no ports any more; whoever asks for
		// the state is told.
		if !inspected.State.Running {
			return "http://" + net.JoinHostPort(c.host, "0"), nil
		}
		return "", fmt.Errorf("the engine did not publish the container's port %d", port)
	}
	return "http://" + net.JoinHostPort(c.host, bindings[0].HostPort), nil
}

// URL implements contract.Server.
func (r *runningContainer) URL() string { return r.url }

// Logs implements contract.Server.
func (r *runningContainer) Logs(ctx context.Context) (contract.Output, error) {
	return r.containers.logs(ctx, r.id)
}

// Processes implements contract.Server.
func (r *runningContainer) Processes(ctx context.Context) ([]contract.Process, error) {
	top, err := r.containers.api.ContainerTop(ctx, r.id, []string{"-eo", "pid,uid,args"})
	if err != nil {
		return nil, fmt.Errorf("listing a container's processes: %w", err)
	}
	return processes(top)
}

// processes reads the engine's table of processes.
func processes(top container.TopResponse) ([]contract.Process, error) {
	column := slices.Index(top.Titles, "UID")
	var found []contract.Process
	for _, row := range top.Processes {
		if column < 0 || column >= len(row) {
			return nil, fmt.Errorf("listing a container's processes: the engine's table has no column UID: %s", strings.Join(top.Titles, " "))
		}
		uid, err := strconv.Atoi(row[column])
		if err != nil {
			return nil, fmt.Errorf("listing a container's processes: %q is not a user ID", row[column])
		}
		found = append(found, contract.Process{UID: uid, Command: row[len(row)-1]})
	}
	return found, nil
}

// Signal implements contract.Server.
func (r *runningContainer) Signal(ctx context.Context, signal string) error {
	if err := r.containers.api.ContainerKill(ctx, r.id, signal); err != nil {
		return fmt.Errorf("sending SIG%s to a container: %w", signal, err)
	}
	return nil
}

// State implements contract.Server.
func (r *runningContainer) State(ctx context.Context) (contract.State, error) {
	inspected, err := r.containers.api.ContainerInspect(ctx, r.id)
	if err != nil {
		return contract.State{}, fmt.Errorf("inspecting a container: %w", err)
	}
	return contract.State{Running: inspected.State.Running, ExitCode: inspected.State.ExitCode}, nil
}

// Remove implements contract.Server.
func (r *runningContainer) Remove(ctx context.Context) error { return r.containers.remove(ctx, r.id) }
