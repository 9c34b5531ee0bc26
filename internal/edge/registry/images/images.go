// Package images finds the images that a manifest or an index of a registry points
// to, and which platform each is for.
package images

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// An Image is one, and OS/ARCH or OS/ARCH/VARIANT of what it is for.
type Image struct {
	v1.Image
	Platform string
}

// All are the images that a manifest or index points to, at least one, by
// platform, and the digests of all manifests below an index. It takes a GET for
// each image and index of an index, and one for the configuration of each image
// that no index gives a platform for.
func All(got *remote.Descriptor) (images []Image, children []string, err error) {
	if !got.MediaType.IsIndex() {
		if !got.MediaType.IsImage() {
			return nil, nil, noImage(got.Descriptor)
		}
		image, err := got.Image()
		if err != nil {
			return nil, nil, err
		}
		one, err := read(image, got.Descriptor)
		return []Image{one}, nil, err
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, nil, err
	}
	err = walk(index, 0, func(child v1.Descriptor) bool {
		children = append(children, child.Digest.String())
		return true
	}, func(parent v1.ImageIndex, child v1.Descriptor) error {
		if !child.MediaType.IsImage() {
			return noImage(child)
		}
		image, err := parent.Image(child.Digest)
		if err != nil {
			return err
		}
		one, err := read(image, child)
		if errors.Is(err, reference.ErrNoImage) {
			return nil // a signature, or the like
		}
		images = append(images, one)
		return err
	})
	if err == nil && len(images) == 0 {
		err = fmt.Errorf("index %s holds no image: it is %w", got.Digest, reference.ErrNoImage)
	}
	slices.SortStableFunc(images, func(a, b Image) int { return cmp.Compare(a.Platform, b.Platform) })
	return images, children, err
}

// For is the image that a manifest points to, whatever it is for, or an index's
// image for a platform. It takes a GET for the image, and one for each level of
// indexes.
func For(got *remote.Descriptor, wanted ocispec.Platform) (v1.Image, error) {
	if !got.MediaType.IsIndex() {
		return got.Image()
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, err
	}
	image, err := choose(index, platforms.Only(wanted))
	if err == nil && image == nil {
		err = fmt.Errorf("index %s holds no image for %s", got.Digest, platforms.Format(wanted))
	}
	return image, err
}

// choose is the image of an index, and of the indexes in it, that fits best; nil
// if none does. An image or an index that does not say what it is for may fit.
func choose(index v1.ImageIndex, fits platforms.MatchComparer) (best v1.Image, err error) {
	var bestPlatform ocispec.Platform
	err = walk(index, 0, func(child v1.Descriptor) bool {
		return child.Platform == nil || fits.Match(toOCI(*child.Platform))
	}, func(parent v1.ImageIndex, child v1.Descriptor) error {
		if !child.MediaType.IsImage() {
			return nil
		}
		image, err := parent.Image(child.Digest)
		if err != nil {
			return err
		}
		said, err := platformOf(image, child)
		if platform := toOCI(said); err == nil && fits.Match(platform) && (best == nil || fits.Less(platform, bestPlatform)) {
			best, bestPlatform = image, platform
		}
		return err
	})
	return best, err
}

func toOCI(p v1.Platform) ocispec.Platform {
	return platforms.Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
}

// maxIndexes is how many levels of indexes are followed.
const maxIndexes = 8

// walk calls visit with what is below an index, and the indexes in it, and is no
// index: with its own index, and the entry there. Attestations are left out, and
// what is not wanted, with all below it.
func walk(index v1.ImageIndex, level int, wanted func(v1.Descriptor) bool, visit func(v1.ImageIndex, v1.Descriptor) error) error {
	content, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, child := range content.Manifests {
		if !wanted(child) || isAttestation(child.Platform) {
			continue
		}
		var inner v1.ImageIndex
		switch {
		case !child.MediaType.IsIndex():
			err = visit(index, child)
		case level == maxIndexes:
			err = noImage(child)
		default:
			if inner, err = index.ImageIndex(child.Digest); err == nil {
				err = walk(inner, level+1, wanted, visit)
			}
		}
		if err != nil {
			return fmt.Errorf("in its index: %w", err)
		}
	}
	return nil
}

func noImage(of v1.Descriptor) error {
	return fmt.Errorf("%s is %w: its media type is %s", of.Digest, reference.ErrNoImage, of.MediaType)
}

// isAttestation tells whether an index's entry is BuildKit's attestation of
// another one, which it gives the platform unknown/unknown (BuildKit,
// docs/attestations/attestation-storage.md).
func isAttestation(p *v1.Platform) bool {
	return p != nil && p.OS == "unknown" && p.Architecture == "unknown"
}

// read reads the manifest of an image.
func read(image v1.Image, of v1.Descriptor) (Image, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return Image{}, err
	}
	switch manifest.Config.MediaType {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	default:
		return Image{}, fmt.Errorf("%s is %w: its configuration's media type is %q", of.Digest, reference.ErrNoImage, manifest.Config.MediaType)
	}
	platform, err := platformOf(image, of)
	if err == nil && (platform.OS == "" || platform.Architecture == "") {
		err = fmt.Errorf("image %s does not say which platform it is for", of.Digest)
	}
	return Image{Image: image, Platform: platform.String()}, err
}

// platformOf is what an image is for, as its entry in an index says, or else its
// configuration.
func platformOf(image v1.Image, of v1.Descriptor) (v1.Platform, error) {
	if p := of.Platform; p != nil {
		return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}, nil
	}
	config, err := image.ConfigFile()
	if err != nil {
		return v1.Platform{}, fmt.Errorf("reading the configuration of %s: %w", of.Digest, err)
	}
	return v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}, nil
}
