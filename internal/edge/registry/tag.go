package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.Tagger = (*Client)(nil)

// Tag implements release.Tagger. It takes a GET of the manifest by its digest,
// unless Annotations has read it before, a PUT of the same bytes under the tag,
// and what Resolve takes, which proves that the tag points to the digest.
func (c *Client) Tag(ctx context.Context, ref, digest string) error {
	doing := fmt.Sprintf("tagging %s as %s", digest, ref)
	parsed, err := c.parse(ref)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	tag, ok := parsed.(name.Tag)
	if !ok {
		return fmt.Errorf("%s: the reference names a digest, not a tag", doing)
	}
	if err := reference.CheckDigest(digest); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	manifest, err := c.manifest(ctx, tag.Context().Digest(digest))
	if err != nil {
		return explain(ctx, doing, tag.Context(), err)
	}
	if err := c.put(ctx, tag, manifest); err != nil {
		return explain(ctx, doing, tag.Context(), err)
	}
	there, err := c.Resolve(ctx, ref)
	if err != nil {
		return fmt.Errorf("%s: confirming: %w", doing, err)
	}
	if there.Digest != digest {
		return fmt.Errorf("%s: registry %s took the tag and then gave %s for it; is something else moving the tag?",
			doing, tag.Context().RegistryStr(), there.Digest)
	}
	return nil
}

func (c *Client) put(ctx context.Context, tag name.Tag, manifest rawManifest) error {
	s, err := c.session(ctx, tag.Context(), transport.PushScope)
	if err != nil {
		return err
	}
	return s.pusher.Put(ctx, tag, manifest)
}

// manifest is the manifest that a repository has under a digest.
func (c *Client) manifest(ctx context.Context, ref name.Digest) (rawManifest, error) {
	if known, ok := c.manifests.Load(ref.Name()); ok {
		return known.(rawManifest), nil
	}
	// The library checks that the bytes are those of the digest.
	got, err := c.get(ctx, ref)
	if err != nil {
		return rawManifest{}, err
	}
	return rawManifest{content: got.Manifest, mediaType: got.MediaType}, nil
}

// rawManifest is a remote.Taggable of the very bytes that a registry gave:
// parsed and written again they might have another digest.
type rawManifest struct {
	content   []byte
	mediaType types.MediaType
}

// RawManifest implements remote.Taggable.
func (m rawManifest) RawManifest() ([]byte, error) { return m.content, nil }

// MediaType makes the library send the manifest as what it is.
func (m rawManifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }
