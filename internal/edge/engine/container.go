package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"

	"github.com/rtbuild/rtbuild/pkg/contract"
)

const (
	// volumeFolder is where a volume is mounted to be filled.
	volumeFolder = "volume"
	// terminationLog is where Kubernetes has it.
	terminationLog = "/dev/termination-log"
	// removeTimeout bounds the removal of a container whose run was cancelled.
	removeTimeout = 30 * time.Second
)

// CreateVolume implements contract.Engine.
func (c *Containers) CreateVolume(ctx context.Context, image string, group int, files []contract.VolumeFile) (string, error) {
	archive, err := pack(group, 0o644, files)
	if err != nil {
		return "", err
	}
	return c.createVolume(ctx, image, archive)
}

// createVolume makes a volume of an archive of volumeFolder. It goes in
// through a container that is created and never started.
func (c *Containers) createVolume(ctx context.Context, image string, archive []byte) (string, error) {
	made, err := c.api.VolumeCreate(ctx, volume.CreateOptions{Labels: map[string]string{containerLabel: "volume"}})
	if err != nil {
		return "", fmt.Errorf("creating a volume: %w", err)
	}
	spec := contract.Container{Image: image, Command: []string{"none"}, Volume: made.Name, Mount: "/" + volumeFolder}
	id, err := c.create(ctx, spec)
	if err == nil {
		err = c.api.CopyToContainer(ctx, id, "/", bytes.NewReader(archive), container.CopyToContainerOptions{})
		err = errors.Join(err, c.remove(ctx, id))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("filling a volume: %w", err), c.RemoveVolume(context.WithoutCancel(ctx), made.Name))
	}
	return made.Name, nil
}

// pack makes an archive of volumeFolder with files as the preparation phase
// leaves them: the folder is the group's, and what is made in it too; the
// files are also owned by the user of that number.
func pack(group int, mode int64, files []contract.VolumeFile) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: volumeFolder + "/", Mode: 0o2777, Gid: group, ModTime: time.Now()})
	for _, file := range files {
		header := &tar.Header{Name: path.Join(volumeFolder, file.Name), Mode: mode, Uid: group, Gid: group, Size: int64(len(file.Content)), ModTime: time.Now()}
		err = errors.Join(err, w.WriteHeader(header))
		_, writeErr := w.Write(file.Content)
		err = errors.Join(err, writeErr)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("packing files: %w", err)
	}
	return archive.Bytes(), nil
}

// RemoveVolume implements contract.Engine.
func (c *Containers) RemoveVolume(ctx context.Context, name string) error {
	if err := c.api.VolumeRemove(ctx, name, true); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing volume %s: %w", name, err)
	}
	return nil
}

// Run implements contract.Engine. The termination log is a file in a volume of
// its own. Old engines mount only folders of volumes, so the file is mounted
// from where the engine itself keeps the volume.
func (c *Containers) Run(ctx context.Context, spec contract.Container) (_ contract.Outcome, err error) {
	file := path.Base(terminationLog)
	archive, err := pack(spec.Group, 0o666, []contract.VolumeFile{{Name: file}})
	if err != nil {
		return contract.Outcome{}, err
	}
	logs, err := c.createVolume(ctx, spec.Image, archive)
	if err != nil {
		return contract.Outcome{}, err
	}
	defer func() { err = errors.Join(err, c.RemoveVolume(context.WithoutCancel(ctx), logs)) }()
	kept, err := c.api.VolumeInspect(ctx, logs)
	if err != nil {
		return contract.Outcome{}, fmt.Errorf("inspecting volume %s: %w", logs, err)
	}
	id, err := c.create(ctx, spec, mount.Mount{Type: mount.TypeBind, Source: path.Join(kept.Mountpoint, file), Target: terminationLog})
	if err != nil {
		return contract.Outcome{}, err
	}
	defer func() { err = errors.Join(err, c.remove(ctx, id)) }()
	return c.runToEnd(ctx, id)
}

func (c *Containers) runToEnd(ctx context.Context, id string) (contract.Outcome, error) {
	if err := c.api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return contract.Outcome{}, fmt.Errorf("starting a container: %w", err)
	}
	code, err := c.wait(ctx, id)
	if err != nil {
		return contract.Outcome{}, fmt.Errorf("waiting for a container: %w", err)
	}
	output, err := c.logs(ctx, id)
	if err != nil {
		return contract.Outcome{}, err
	}
	reason, err := c.readFile(ctx, id, terminationLog)
	if err != nil {
		return contract.Outcome{}, fmt.Errorf("reading the termination log: %w", err)
	}
	return contract.Outcome{ExitCode: code, Stdout: output.Stdout, Stderr: output.Stderr, TerminationLog: reason}, nil
}

func (c *Containers) wait(ctx context.Context, id string) (int, error) {
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

// create creates a container. Its volume starts as it is: images' own files
// are not copied into it.
func (c *Containers) create(ctx context.Context, spec contract.Container, more ...mount.Mount) (string, error) {
	config := &container.Config{
		Image: spec.Image, WorkingDir: spec.WorkingDir, Labels: map[string]string{containerLabel: "container"},
		User: strconv.Itoa(spec.User),
	}
	if len(spec.Command) > 0 {
		config.Entrypoint = spec.Command
	}
	for _, v := range spec.Env {
		config.Env = append(config.Env, v.Name+"="+v.Value)
	}
	host := &container.HostConfig{
		GroupAdd:       []string{strconv.Itoa(spec.Group)},
		ReadonlyRootfs: spec.ReadOnly,
		Mounts: append(more, mount.Mount{
			Type: mount.TypeVolume, Source: spec.Volume, Target: spec.Mount, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		}),
	}
	if spec.ReadOnly {
		host.Tmpfs = map[string]string{"/tmp": "exec,mode=1777"}
	}
	if spec.Port != 0 {
		port := nat.Port(strconv.Itoa(spec.Port) + "/tcp")
		config.ExposedPorts = nat.PortSet{port: {}}
		host.PortBindings = nat.PortMap{port: {{HostIP: c.bind}}}
	}
	created, err := c.api.ContainerCreate(ctx, config, host, nil, nil, "")
	if err != nil {
		return "", fmt.Errorf("creating a container: %w", err)
	}
	return created.ID, nil
}

// remove ends and removes a container, also when ctx has ended.
func (c *Containers) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := c.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing a container: %w", err)
	}
	return nil
}

func (c *Containers) logs(ctx context.Context, id string) (contract.Output, error) {
	stream, err := c.api.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return contract.Output{}, fmt.Errorf("reading a container's log: %w", err)
	}
	defer stream.Close()
	var stdout, stderr strings.Builder
	if _, err := stdcopy.StdCopy(&stdout, &stderr, stream); err != nil {
		return contract.Output{}, fmt.Errorf("reading a container's log: %w", err)
	}
	return contract.Output{Stdout: stdout.String(), Stderr: stderr.String()}, nil
}

// readFile reads a file of a container.
func (c *Containers) readFile(ctx context.Context, id, name string) (string, error) {
	stream, _, err := c.api.CopyFromContainer(ctx, id, name)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	archive := tar.NewReader(stream)
	if _, err := archive.Next(); err != nil {
		return "", err
	}
	content, err := io.ReadAll(archive)
	return string(content), err
}
