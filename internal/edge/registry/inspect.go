package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.Inspector = (*Client)(nil)

// errNoImage marks a manifest that is something else.
var errNoImage = reference.ErrNoImage

// Inspect implements release.Inspector. It takes a GET for the manifest, one
// for each image and index of an index, and one for the configuration that has the
// labels (one for each image that the index gives no platform for).
func (c *Client) Inspect(ctx context.Context, ref string) (release.Inspection, error) {
	doing := "inspecting " + ref
	parsed, err := c.parse(ref)
	if err != nil {
		return release.Inspection{}, fmt.Errorf("%s: %w", doing, err)
	}
	got, err := c.get(ctx, parsed)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	digest := got.Digest.String()
	if err := reference.CheckDigest(digest); err != nil {
		return release.Inspection{}, fmt.Errorf("%s: %w", doing, err)
	}
	images, children, err := imagesOf(got)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	inspection, err := summarize(images)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	inspection.Children = children
	inspection.Descriptor = Descriptor{Digest: digest, MediaType: string(got.MediaType), Size: got.Size}
	return inspection, nil
}

// inspected is one image of a reference.
type inspected struct {
	image    v1.Image
	manifest *v1.Manifest
	platform string
}

// imagesOf are the images that a manifest or index points to, at least one, and
// the digests of all manifests below an index.
func imagesOf(got *remote.Descriptor) ([]inspected, []string, error) {
	if !got.MediaType.IsIndex() {
		if !got.MediaType.IsImage() {
			return nil, nil, fmt.Errorf("%s is %w: its media type is %s", got.Digest, errNoImage, got.MediaType)
		}
		image, err := got.Image()
		if err != nil {
			return nil, nil, err
		}
		one, err := inspectImage(image, got.Digest, nil)
		if err != nil {
			return nil, nil, err
		}
		return []inspected{one}, nil, nil
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, nil, err
	}
	var found indexed
	err = found.add(index, got.Digest, 0)
	if err == nil && len(found.images) == 0 {
		err = fmt.Errorf("index %s holds no image: it is %w", got.Digest, errNoImage)
	}
	return found.images, found.children, err
}

// indexed is what is below an index: its images, and the digests of all manifests.
type indexed struct {
	images   []inspected
	children []string
}

// add adds what is below an index, and the indexes in it.
func (x *indexed) add(index v1.ImageIndex, digest v1.Hash, level int) error {
	content, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, child := range content.Manifests {
		x.children = append(x.children, child.Digest.String())
		if isAttestation(child.Platform) {
			continue
		}
		err := x.addEntry(index, child, level)
		if errors.Is(err, errNoImage) && child.MediaType.IsImage() {
			continue // a signature, or the like
		}
		if err != nil {
			return fmt.Errorf("index %s: %w", digest, err)
		}
	}
	return nil
}

// addEntry adds the images that an entry of an index stands for.
func (x *indexed) addEntry(index v1.ImageIndex, child v1.Descriptor, level int) error {
	switch {
	case child.MediaType.IsIndex() && level < maxIndexes:
		inner, err := index.ImageIndex(child.Digest)
		if err != nil {
			return err
		}
		return x.add(inner, child.Digest, level+1)
	case !child.MediaType.IsImage():
		return fmt.Errorf("%s is %w: its media type is %s", child.Digest, errNoImage, child.MediaType)
	}
	image, err := index.Image(child.Digest)
	if err != nil {
		return err
	}
	one, err := inspectImage(image, child.Digest, child.Platform)
	if err == nil {
		x.images = append(x.images, one)
	}
	return err
}

// isAttestation tells whether an index's entry is BuildKit's attestation of
// another one, which it gives the platform unknown/unknown (BuildKit,
// docs/attestations/attestation-storage.md).
func isAttestation(p *v1.Platform) bool {
	return p != nil && p.OS == "unknown" && p.Architecture == "unknown"
}

// inspectImage reads the manifest of an image, and its platform from the
// configuration unless it is known.
func inspectImage(image v1.Image, digest v1.Hash, platform *v1.Platform) (inspected, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return inspected{}, err
	}
	switch manifest.Config.MediaType {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	default:
		return inspected{}, fmt.Errorf("%s is %w: its configuration's media type is %q", digest, errNoImage, manifest.Config.MediaType)
	}
	if platform == nil {
		config, err := image.ConfigFile()
		if err != nil {
			return inspected{}, fmt.Errorf("reading the configuration of %s: %w", digest, err)
		}
		platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	}
	if platform.OS == "" || platform.Architecture == "" {
		return inspected{}, fmt.Errorf("image %s does not say which platform it is for", digest)
	}
	text := platform.OS + "/" + platform.Architecture
	if platform.Variant != "" {
		text += "/" + platform.Variant
	}
	return inspected{image: image, manifest: manifest, platform: text}, nil
}

// summarize puts images together, with the labels of the first by platform.
func summarize(images []inspected) (release.Inspection, error) {
	slices.SortStableFunc(images, func(a, b inspected) int { return cmp.Compare(a.platform, b.platform) })
	config, err := images[0].image.ConfigFile()
	if err != nil {
		return release.Inspection{}, fmt.Errorf("reading the configuration for %s: %w", images[0].platform, err)
	}
	sum := release.Inspection{Labels: config.Config.Labels}
	for _, one := range images {
		sum.Platforms = append(sum.Platforms, one.platform)
	}
	return sum, nil
}
