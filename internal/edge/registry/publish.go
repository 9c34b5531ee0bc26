package registry

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

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

var _ function.Publisher = (*Client)(nil)

// earliest is the time of files on a base that has none: no archive holds an
// earlier one.
const earliest = 315532800 // 1980-01-01, in seconds since 1970

// Publish implements function.Publisher. Layers of the base that the registry has
// are not sent again. The tag is the name and the beginning of the digest, so
// that no image loses its tag to a later one.
func (c *Client) Publish(ctx context.Context, p function.Publication) (string, error) {
	doing := "pushing to " + p.Repository
	if _, err := name.NewRepository(p.Repository); err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	parsed, err := c.parse(p.Repository)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	repository := parsed.Context()
	base, err := c.base(ctx, p)
	if err != nil {
		return "", err
	}
	image, err := appended(base, p)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	tag := repository.Tag(p.Name + "-" + digest.Hex[:12])
	s, err := c.session(ctx, repository, transport.PushScope)
	if err == nil {
		err = s.pusher.Push(ctx, tag, image)
	}
	if err != nil {
		return "", explain(ctx, doing, repository, err)
	}
	there, err := c.Resolve(ctx, tag.Name())
	if err != nil {
		return "", fmt.Errorf("%s: confirming: %w", doing, err)
	}
	if there.Digest != digest.String() {
		return "", fmt.Errorf("%s: registry %s took the image and then gave %s for it, not %s", doing, repository.RegistryStr(), there.Digest, digest)
	}
	return p.Repository + "@" + there.Digest, nil
}

// base is the image below.
func (c *Client) base(ctx context.Context, p function.Publication) (v1.Image, error) {
	doing := "reading " + p.Base
	parsed, err := c.parse(p.Base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	wanted, err := platforms.Parse(p.Platform)
	if err != nil {
		return nil, fmt.Errorf("%s: platform %q: %w", doing, p.Platform, err)
	}
	got, err := c.get(ctx, parsed)
	if err != nil {
		return nil, c.refusal(ctx, doing, parsed.Context(), err)
	}
	image, err := imageFor(got, wanted)
	if err != nil {
		return nil, explain(ctx, doing, parsed.Context(), err)
	}
	return image, nil
}

// appended is a base with a layer more.
func appended(base v1.Image, p function.Publication) (v1.Image, error) {
	config, err := base.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", p.Base, err)
	}
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

// archive is the layer: in the order that files are in, all of one time and of
// root, each folder before what is in it.
func archive(p function.Publication, modified time.Time) ([]byte, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	header := func(name string, kind byte, mode int64) *tar.Header {
		return &tar.Header{Typeflag: kind, Name: name, Mode: mode, ModTime: modified, Format: tar.FormatPAX}
	}
	var errs []error
	seen := map[string]bool{"/": true}
	var folder func(name string)
	folder = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		folder(path.Dir(name))
		errs = append(errs, w.WriteHeader(header(strings.TrimPrefix(name, "/")+"/", tar.TypeDir, 0o755)))
	}
	folder(p.Folder)
	for _, file := range p.Files {
		full := path.Join(p.Folder, file.Name)
		folder(path.Dir(full))
		h := header(strings.TrimPrefix(full, "/"), tar.TypeReg, 0o644)
		switch {
		case file.Link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, file.Link, 0o777
		case file.Executable:
			h.Mode = 0o755
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(file.Content))
		}
		errs = append(errs, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write(file.Content)
			errs = append(errs, err)
		}
	}
	if err := errors.Join(append(errs, w.Close())...); err != nil {
		return nil, fmt.Errorf("packing the function: %w", err)
	}
	return content.Bytes(), nil
}
