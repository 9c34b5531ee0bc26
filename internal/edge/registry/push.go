package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/rtbuild/rtbuild/pkg/release"
)

// uploadJobs is how many blobs of one image are uploaded at once.
const uploadJobs = 4

// Push writes image to ref (NAME:TAG), unless ref points to the very same
// manifest already, and returns its descriptor and whether it was written.
// Layers that the repository has are not sent again; a layer is read from
// where the image has it as it is sent, again from its start if the upload
// was interrupted.
func (c *Client) Push(ctx context.Context, ref string, image v1.Image) (Descriptor, bool, error) {
	parsed, err := c.parse(ref)
	if err != nil {
		return Descriptor{}, false, fmt.Errorf("pushing %s: %w", ref, err)
	}
	want, err := describe(image)
	if err != nil {
		return Descriptor{}, false, fmt.Errorf("pushing %s: reading the image: %w", ref, err)
	}
	there, err := c.Resolve(ctx, ref)
	if err == nil && there.Digest == want.Digest {
		return want, false, nil
	}
	if err != nil && !errors.Is(err, release.ErrNotFound) && !errors.Is(err, release.ErrHidden) {
		return Descriptor{}, false, fmt.Errorf("pushing %s: %w", ref, err)
	}
	if err := c.write(ctx, parsed, image); err != nil {
		return Descriptor{}, false, explain(ctx, "pushing "+ref, parsed.Context(), err)
	}
	return want, true, nil
}

func describe(image v1.Image) (Descriptor, error) {
	digest, err := image.Digest()
	if err != nil {
		return Descriptor{}, err
	}
	size, err := image.Size()
	if err != nil {
		return Descriptor{}, err
	}
	mediaType, err := image.MediaType()
	if err != nil {
		return Descriptor{}, err
	}
	return Descriptor{Digest: digest.String(), MediaType: string(mediaType), Size: size}, nil
}

// write uploads the image's blobs and then its manifest. The library's own
// Write would do as well, but gives up all uploads when one is interrupted.
func (c *Client) write(ctx context.Context, ref name.Reference, image v1.Image) error {
	blobs, err := image.Layers()
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	config, err := partial.ConfigLayer(image)
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	// One for each push: a pusher takes blobs that it uploaded for present.
	pusher := newPusher(c.options)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(uploadJobs)
	for _, blob := range append(blobs, config) {
		group.Go(func() error { return c.upload(groupCtx, pusher, ref.Context(), blob) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return pusher.Put(ctx, ref, image)
}

// upload uploads blob unless the repository has it. An interrupted upload is
// begun again; whether the registry has got the blob nevertheless is asked
// first.
func (c *Client) upload(ctx context.Context, pusher *remote.Pusher, repo name.Repository, blob v1.Layer) error {
	for tries := c.retry.start(); ; {
		err := pusher.Upload(ctx, repo, blob)
		var interrupted *interruptedUpload
		if !errors.As(err, &interrupted) {
			return err
		}
		again, waitErr := tries.again(ctx, interrupted.asked)
		if waitErr != nil {
			return waitErr
		}
		if !again {
			return err
		}
	}
}
