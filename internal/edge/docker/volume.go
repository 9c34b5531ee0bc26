package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// volumeFolder is where a volume is mounted to be filled and read.
const volumeFolder = "volume"

// CreateVolume implements containers.Engine.
func (c *Engine) CreateVolume(ctx context.Context, v containers.Volume) (string, error) {
	archive, err := pack(v.Group, 0o644, v.Files)
	if err != nil {
		return "", err
	}
	return c.createVolume(ctx, v, archive)
}

// createVolume makes a volume of an archive of volumeFolder.
func (c *Engine) createVolume(ctx context.Context, v containers.Volume, archive []byte) (string, error) {
	making, cancel := uncancelled(ctx)
	defer cancel()
	made, err := c.api.VolumeCreate(making, volume.CreateOptions{Labels: v.Labels})
	if err != nil {
		return "", fmt.Errorf("creating a volume: %w", err)
	}
	err = c.mounted(ctx, v.Image, made.Name, func(id string) error {
		return c.api.CopyToContainer(ctx, id, "/", bytes.NewReader(archive), container.CopyToContainerOptions{})
	})
	if err != nil {
		return "", errors.Join(fmt.Errorf("filling a volume: %w", err), c.RemoveVolume(context.WithoutCancel(ctx), made.Name))
	}
	return made.Name, nil
}

// mounted calls do with a container that has a volume at volumeFolder, and is
// created and never started.
func (c *Engine) mounted(ctx context.Context, image, volume string, do func(id string) error) error {
	id, err := c.create(ctx, containers.Container{Image: image, Command: []string{"none"}, Volume: volume, Mount: "/" + volumeFolder})
	if err != nil {
		return err
	}
	return errors.Join(do(id), c.remove(ctx, id))
}

// ReadVolume implements containers.Host.
func (c *Engine) ReadVolume(ctx context.Context, image, volume string) (files []function.File, err error) {
	err = c.mounted(ctx, image, volume, func(id string) error {
		stream, _, err := c.api.CopyFromContainer(ctx, id, "/"+volumeFolder)
		if err != nil {
			return err
		}
		defer stream.Close()
		files, err = unpack(stream)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading volume %s: %w", volume, err)
	}
	return files, nil
}

// RemoveVolume implements containers.Engine. A container that was never started may
// have the volume still: a run that was killed was about to fill it.
func (c *Engine) RemoveVolume(ctx context.Context, name string) error {
	err := c.api.VolumeRemove(ctx, name, true)
	if errdefs.IsConflict(err) {
		if err = c.removeUnstarted(ctx, name); err == nil {
			err = c.api.VolumeRemove(ctx, name, true)
		}
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing volume %s: %w", name, err)
	}
	return nil
}

// removeUnstarted removes the containers that have a volume and were never started.
func (c *Engine) removeUnstarted(ctx context.Context, volume string) error {
	found, err := c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("volume", volume), filters.Arg("status", "created"))})
	for _, unstarted := range found {
		err = errors.Join(err, c.remove(ctx, unstarted.ID))
	}
	return err
}

// FindVolumes implements containers.Host.
func (c *Engine) FindVolumes(ctx context.Context, labels map[string]string) ([]string, error) {
	found, err := c.api.VolumeList(ctx, volume.ListOptions{Filters: byLabels(labels)})
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	var names []string
	for _, v := range found.Volumes {
		names = append(names, v.Name)
	}
	return names, nil
}

// pack makes an archive of volumeFolder with files as the preparation phase
// leaves them: the folder is the group's, and what is made in it too; what is
// in it is owned by the user of that number.
func pack(group int, mode int64, files []function.File) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	packing := packingFor(volumeFolder, group, mode)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: volumeFolder + "/", Mode: 0o2777, Gid: group, ModTime: packing.Modified})
	if err := errors.Join(err, packing.Write(w, files), w.Close()); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// packingFor has folders stay the group's, with what is made in them.
func packingFor(folder string, group int, mode int64) containers.Packing {
	return containers.Packing{Folder: folder, Owner: group, FolderMode: 0o2775, FileMode: mode, Modified: time.Now()}
}

// unpack reads an archive of volumeFolder that an engine made. A hard link is
// another file of the same content.
func unpack(stream io.Reader) ([]function.File, error) {
	var files []function.File
	contents := map[string][]byte{}
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		file := function.File{Name: strings.TrimPrefix(header.Name, volumeFolder+"/"), Executable: header.Mode&0o111 != 0}
		switch header.Typeflag {
		case tar.TypeReg:
			if file.Content, err = io.ReadAll(r); err != nil {
				return nil, err
			}
			contents[path.Clean(header.Name)] = file.Content
		case tar.TypeLink:
			file.Content = contents[path.Clean(header.Linkname)]
		case tar.TypeSymlink:
			file.Link, file.Executable = header.Linkname, false
		default:
			continue
		}
		files = append(files, file)
	}
}

// readFile reads a file of a container.
func (c *Engine) readFile(ctx context.Context, id, name string) (string, error) {
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
