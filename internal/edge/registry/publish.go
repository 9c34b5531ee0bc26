package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

var _ containers.Publisher = (*Client)(nil)

// earliest is the time of files on a base that has none: no archive holds an
// earlier one.
const earliest = 315532800 // 1980-01-01, in seconds since 1970

// Publish implements containers.Publisher. Layers of the base that the registry has
// are not sent again. The tag is the name and the beginning of the digest, so
// that no image loses its tag to a later one.
func (c *Client) Publish(ctx context.Context, p containers.Publication) (string, error) {
	doing := "pushing to " + p.Repository
	repository, err := c.parseRepository(doing, p.Repository)
	if err != nil {
		return "", err
	}
	base, config, err := c.image(ctx, "reading "+p.Base, p.Base, p.Platform)
	if err != nil {
		return "", err
	}
	image, err := appended(base, config, p)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	tag := repository.Tag(p.Name + "-" + digest.Hex[:12])
	err = c.write(ctx, repository, transport.PushScope, func(push *remote.Pusher) error { return push.Push(ctx, tag, image) })
	if err != nil {
		return "", explain(ctx, doing, repository, err)
	}
	if err := c.confirm(ctx, doing, tag.Name(), digest.String()); err != nil {
		return "", err
	}
	return p.Repository + "@" + digest.String(), nil
}

// appended is a base with a layer more.
func appended(base v1.Image, config *v1.ConfigFile, p containers.Publication) (v1.Image, error) {
	to, err := reference.Parse(p.Repository)
	if err != nil {
		return nil, err
	}
	if reason := config.Config.Labels[baseimage.LabelLocalOnly]; reason != "" && !to.OnLoopback() {
		return nil, fmt.Errorf("%s is not to leave this machine: %s; take a repository of this machine, or another base image", p.Base, reason)
	}
	manifest, err := base.Manifest()
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of %s: %w", p.Base, err)
	}
	mediaType := types.DockerLayer
	if manifest.MediaType == types.OCIManifestSchema1 {
		mediaType = types.OCILayer
	}
	modified := config.Created.Time
	if modified.Unix() < earliest {
		modified = time.Unix(earliest, 0).UTC()
	}
	content, err := archive(p, modified)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, tarball.WithMediaType(mediaType))
	if err != nil {
		return nil, err
	}
	return mutate.Append(base, mutate.Addendum{Layer: layer, MediaType: mediaType, History: v1.History{
		Created: v1.Time{Time: modified}, CreatedBy: "rtbuild function " + p.Name,
	}})
}

// archive is the layer.
func archive(p containers.Publication, modified time.Time) ([]byte, error) {
	files := slices.Clone(p.Files)
	for i := range files {
		files[i].Name = path.Join(strings.TrimPrefix(p.Folder, "/"), files[i].Name)
	}
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	packing := containers.Packing{FolderMode: 0o755, FileMode: 0o644, Modified: modified}
	if err := errors.Join(packing.Write(w, files), w.Close()); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}
