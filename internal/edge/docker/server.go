package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// A runningContainer is a containers.Kept.
type runningContainer struct {
	engine         *Engine
	id, url, image string
	labels         map[string]string
	created        time.Time
}

// Start implements containers.Engine.
func (c *Engine) Start(ctx context.Context, spec containers.Container) (containers.Server, error) {
	return c.Keep(ctx, spec)
}

// Keep implements containers.Host.
func (c *Engine) Keep(ctx context.Context, spec containers.Container) (containers.Kept, error) {
	id, err := c.create(ctx, spec)
	if err != nil {
		return nil, err
	}
	r := &runningContainer{engine: c, id: id, image: spec.Image, labels: spec.Labels, created: time.Now()}
	if err = c.start(ctx, id); err == nil {
		r.url, err = c.published(ctx, id, spec.Port)
	}
	if err != nil {
		return nil, errors.Join(err, r.Remove(ctx))
	}
	return r, nil
}

// published is where a container's port is.
func (c *Engine) published(ctx context.Context, id string, port int) (string, error) {
	inspected, err := c.api.ContainerInspect(ctx, id)
	if err != nil {
		return "", fmt.Errorf("inspecting a container: %w", err)
	}
	bindings := inspected.NetworkSettings.Ports[nat.Port(strconv.Itoa(port)+"/tcp")]
	if len(bindings) > 0 {
		return c.urlOf(bindings[0].HostPort), nil
	}
	// A container that has ended has no ports any more; whoever asks for the
	// state is told.
	if port == 0 || !inspected.State.Running {
		return c.urlOf("0"), nil
	}
	return "", fmt.Errorf("the engine did not publish the container's port %d", port)
}

func (c *Engine) urlOf(port string) string { return "http://" + net.JoinHostPort(c.host, port) }

// Find implements containers.Host.
func (c *Engine) Find(ctx context.Context, labels map[string]string) ([]containers.Kept, error) {
	found, err := c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: byLabels(labels)})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	slices.SortFunc(found, func(a, b container.Summary) int { return int(a.Created - b.Created) })
	var kept []containers.Kept
	for _, summary := range found {
		r := &runningContainer{engine: c, id: summary.ID, url: c.urlOf("0"), image: summary.ImageID, labels: summary.Labels, created: time.Unix(summary.Created, 0)}
		for _, port := range summary.Ports {
			if port.PublicPort != 0 {
				r.url = c.urlOf(strconv.Itoa(int(port.PublicPort)))
			}
		}
		kept = append(kept, r)
	}
	return kept, nil
}

// URL implements containers.Server.
func (r *runningContainer) URL() string { return r.url }

// Labels implements containers.Kept.
func (r *runningContainer) Labels() map[string]string { return r.labels }

// Image implements containers.Kept.
func (r *runningContainer) Image() string { return r.image }

// Created implements containers.Kept.
func (r *runningContainer) Created() time.Time { return r.created }

// Logs implements containers.Server.
func (r *runningContainer) Logs(ctx context.Context) (containers.Output, error) {
	return r.engine.logs(ctx, r.id)
}

func (c *Engine) logs(ctx context.Context, id string) (containers.Output, error) {
	var stdout, stderr strings.Builder
	err := c.copyLogs(ctx, id, false, &stdout, &stderr)
	return containers.Output{Stdout: stdout.String(), Stderr: stderr.String()}, err
}

func (c *Engine) copyLogs(ctx context.Context, id string, follow bool, stdout, stderr io.Writer) error {
	stream, err := c.api.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow})
	if err != nil {
		return fmt.Errorf("reading a container's log: %w", err)
	}
	defer stream.Close()
	if _, err := stdcopy.StdCopy(stdout, stderr, stream); err != nil {
		return fmt.Errorf("reading a container's log: %w", err)
	}
	return nil
}

// Follow implements containers.Kept.
func (r *runningContainer) Follow(ctx context.Context, follow bool, out io.Writer) error {
	return r.engine.copyLogs(ctx, r.id, follow, out, out)
}

// Write implements containers.Kept.
func (r *runningContainer) Write(ctx context.Context, folder string, files []function.File) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := errors.Join(packingFor("", function.Group, 0o644).Write(w, files), w.Close())
	if err == nil {
		err = r.engine.api.CopyToContainer(ctx, r.id, folder, &archive, container.CopyToContainerOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing into a container's volume: %w", err)
	}
	return nil
}

// Read implements containers.Kept.
func (r *runningContainer) Read(ctx context.Context, name string) ([]byte, error) {
	content, err := r.engine.readFile(ctx, r.id, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s of a container: %w", name, err)
	}
	return []byte(content), nil
}

// Stop implements containers.Kept.
func (r *runningContainer) Stop(ctx context.Context, grace time.Duration) error {
	seconds := int(grace.Round(time.Second) / time.Second)
	if err := r.engine.api.ContainerStop(ctx, r.id, container.StopOptions{Timeout: &seconds}); err != nil {
		return fmt.Errorf("stopping a container: %w", err)
	}
	return nil
}

// Processes implements containers.Server.
func (r *runningContainer) Processes(ctx context.Context) ([]containers.Process, error) {
	top, err := r.engine.api.ContainerTop(ctx, r.id, []string{"-eo", "pid,uid,args"})
	if err != nil {
		return nil, fmt.Errorf("listing a container's processes: %w", err)
	}
	return processes(top)
}

// processes reads the engine's table of processes.
func processes(top container.TopResponse) ([]containers.Process, error) {
	column := slices.Index(top.Titles, "UID")
	var found []containers.Process
	for _, row := range top.Processes {
		if column < 0 || column >= len(row) {
			return nil, fmt.Errorf("listing a container's processes: the engine's table has no column UID: %s", strings.Join(top.Titles, " "))
		}
		uid, err := strconv.Atoi(row[column])
		if err != nil {
			return nil, fmt.Errorf("listing a container's processes: %q is not a user ID", row[column])
		}
		found = append(found, containers.Process{UID: uid, Command: row[len(row)-1]})
	}
	return found, nil
}

// Signal implements containers.Server.
func (r *runningContainer) Signal(ctx context.Context, signal string) error {
	if err := r.engine.api.ContainerKill(ctx, r.id, signal); err != nil {
		return fmt.Errorf("sending SIG%s to a container: %w", signal, err)
	}
	return nil
}

// State implements containers.Server.
func (r *runningContainer) State(ctx context.Context) (containers.State, error) {
	inspected, err := r.engine.api.ContainerInspect(ctx, r.id)
	if err != nil {
		return containers.State{}, fmt.Errorf("inspecting a container: %w", err)
	}
	return containers.State{Running: inspected.State.Running, ExitCode: inspected.State.ExitCode, Restarts: inspected.RestartCount}, nil
}

// Remove implements containers.Server.
func (r *runningContainer) Remove(ctx context.Context) error { return r.engine.remove(ctx, r.id) }
