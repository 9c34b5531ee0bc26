package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

const (
	// terminationLog is where Kubernetes has it.
	terminationLog = "/dev/termination-log"
	// removeTimeout bounds the removal of a container whose run was cancelled.
	removeTimeout = 30 * time.Second
	// createTimeout bounds what is not cancelled: an engine that many ask at once
	// takes its time.
	createTimeout = 2 * time.Minute
)

// Run implements containers.Engine. The termination log is a file in a volume of
// its own. Old engines mount only folders of volumes, so the file is mounted
// from where the engine itself keeps the volume.
func (c *Engine) Run(ctx context.Context, spec containers.Container) (_ containers.Outcome, err error) {
	file := path.Base(terminationLog)
	archive, err := pack(spec.Group, 0o666, []function.File{{Name: file}})
	if err != nil {
		return containers.Outcome{}, err
	}
	logs, err := c.createVolume(ctx, containers.Volume{Image: spec.Image, Labels: spec.Labels}, archive)
	if err != nil {
		return containers.Outcome{}, err
	}
	defer func() { err = errors.Join(err, c.RemoveVolume(context.WithoutCancel(ctx), logs)) }()
	kept, err := c.api.VolumeInspect(ctx, logs)
	if err != nil {
		return containers.Outcome{}, fmt.Errorf("inspecting volume %s: %w", logs, err)
	}
	id, err := c.create(ctx, spec, mount.Mount{Type: mount.TypeBind, Source: path.Join(kept.Mountpoint, file), Target: terminationLog})
	if err != nil {
		return containers.Outcome{}, err
	}
	defer func() { err = errors.Join(err, c.remove(ctx, id)) }()
	return c.runToEnd(ctx, id)
}

func (c *Engine) runToEnd(ctx context.Context, id string) (containers.Outcome, error) {
	if err := c.api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return containers.Outcome{}, fmt.Errorf("starting a container: %w", err)
	}
	code, err := c.wait(ctx, id)
	if err != nil {
		return containers.Outcome{}, fmt.Errorf("waiting for a container: %w", err)
	}
	output, err := c.logs(ctx, id)
	if err != nil {
		return containers.Outcome{}, err
	}
	reason, err := c.readFile(ctx, id, terminationLog)
	if err != nil {
		return containers.Outcome{}, fmt.Errorf("reading the termination log: %w", err)
	}
	return containers.Outcome{ExitCode: code, Stdout: output.Stdout, Stderr: output.Stderr, TerminationLog: reason}, nil
}

func (c *Engine) wait(ctx context.Context, id string) (int, error) {
	ended, failed := c.api.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case err := <-failed:
		return 0, err
	case result := <-ended:
		if result.Error != nil {
			return 0, errors.New(result.Error.Message)
		}
		return int(result.StatusCode), nil
	}
}

// uncancelled is the context for making something: an engine goes on when
// whoever asked for it has left, and then nobody knows what to remove.
func uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
}

// create creates a container.
func (c *Engine) create(ctx context.Context, spec containers.Container, more ...mount.Mount) (string, error) {
	config := &container.Config{
		Image: spec.Image, WorkingDir: spec.WorkingDir, Labels: maps.Clone(spec.Labels),
		User: strconv.Itoa(spec.User),
	}
	if len(spec.Command) > 0 {
		config.Entrypoint = spec.Command
	}
	for _, v := range spec.Env {
		config.Env = append(config.Env, v.Name+"="+v.Value)
	}
	host := c.hostConfig(spec, more)
	if spec.Port != 0 {
		port := nat.Port(strconv.Itoa(spec.Port) + "/tcp")
		config.ExposedPorts = nat.PortSet{port: {}}
		binding := nat.PortBinding{HostIP: c.bind}
		if spec.HostPort != 0 {
			binding.HostPort = strconv.Itoa(spec.HostPort)
		}
		host.PortBindings = nat.PortMap{port: {binding}}
	}
	networks := &network.NetworkingConfig{}
	if spec.Network != "" {
		host.NetworkMode = container.NetworkMode(spec.Network)
		networks.EndpointsConfig = map[string]*network.EndpointSettings{spec.Network: {Aliases: spec.Aliases}}
	}
	ctx, cancel := uncancelled(ctx)
	defer cancel()
	made, err := c.api.ContainerCreate(ctx, config, host, networks, nil, spec.Name)
	if err != nil {
		return "", fmt.Errorf("creating a container: %w", err)
	}
	return made.ID, nil
}

// hostConfig is what the engine does around a container. Its volume starts as
// it is: images' own files are not copied into it.
func (c *Engine) hostConfig(spec containers.Container, mounts []mount.Mount) *container.HostConfig {
	if spec.Volume != "" {
		mounts = append(mounts, mount.Mount{
			Type: mount.TypeVolume, Source: spec.Volume, Target: spec.Mount, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	for _, secret := range spec.Secrets {
		mounts = append(mounts, mount.Mount{
			Type: mount.TypeVolume, Source: secret.Volume, Target: secret.Path, ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	host := &container.HostConfig{
		GroupAdd:       []string{strconv.Itoa(spec.Group)},
		ReadonlyRootfs: spec.ReadOnly,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges"},
		Mounts:         mounts,
		// Without swap: a limit is the most that there is.
		Resources: container.Resources{Memory: spec.Memory, MemorySwap: spec.Memory, NanoCPUs: spec.CPU * 1e6},
	}
	if spec.ReadOnly {
		host.Tmpfs = map[string]string{"/tmp": "exec,mode=1777"}
	}
	if spec.Restart {
		host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyUnlessStopped}
	}
	return host
}

// portTaken matches how engines say that a port is another's: a container's or
// a process's.
var portTaken = regexp.MustCompile(`port is already allocated|address already in use`)

// start starts a container. One that ends at once is no error.
func (c *Engine) start(ctx context.Context, id string) error {
	err := c.api.ContainerStart(ctx, id, container.StartOptions{})
	if err != nil && portTaken.MatchString(err.Error()) {
		return fmt.Errorf("starting a container: %w: %w", containers.ErrPortTaken, err)
	}
	if err != nil {
		return fmt.Errorf("starting a container: %w", err)
	}
	return nil
}

// remove ends and removes a container, also when ctx has ended. Somebody else may
// do so at the same time; it is gone then, too, when remove returns.
func (c *Engine) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := c.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsConflict(err) {
		gone, failed := c.api.ContainerWait(ctx, id, container.WaitConditionRemoved)
		select {
		case <-gone:
			return nil
		case err = <-failed:
		}
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing a container: %w", err)
	}
	return nil
}
