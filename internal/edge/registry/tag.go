package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.Tagger = (*Client)(nil)

// Tag implements release.Tagger. It takes a GET of the manifest by its digest,
// unless Annotations has read it before, a PUT of the same bytes under the tag,
// and what Resolve takes, which proves that the tag points to the digest.
func (c *Client) Tag(ctx context.Context, ref, digest string) error {
	doing := fmt.Sprintf("tagging %s as %s", digest, ref)
	parsed, err := c.parse(doing, ref)
	if err != nil {
		return err
	}
	tag, ok := parsed.(name.Tag)
	if !ok {
		return fmt.Errorf("%s: the reference names a digest, not a tag", doing)
	}
	if err := reference.CheckDigest(digest); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	manifest, err := c.manifest(ctx, tag.Context().Digest(digest))
	if err == nil {
		err = c.write(ctx, tag.Context(), transport.PushScope, func(p *remote.Pusher) error { return p.Put(ctx, tag, manifest) })
	}
	if err != nil {
		return explain(ctx, doing, tag.Context(), err)
	}
	return c.confirm(ctx, doing, ref, digest)
}

// manifest is the manifest that a repository has under a digest. Put sends its very
// bytes, which have that digest.
func (c *Client) manifest(ctx context.Context, ref name.Digest) (*remote.Descriptor, error) {
	if known, ok := c.manifests.Load(ref.Name()); ok {
		return known.(*remote.Descriptor), nil
	}
	return c.get(ctx, ref)
}

// write has do change a repository, with what its registry wants to be shown for
// an action.
func (c *Client) write(ctx context.Context, repo name.Repository, action string, do func(*remote.Pusher) error) error {
	s, err := c.session(ctx, repo, action)
	if err != nil {
		return err
	}
	return do(s.pusher)
}

// confirm wants a tag to point to what it was made to.
func (c *Client) confirm(ctx context.Context, doing, ref, digest string) error {
	there, err := c.Resolve(ctx, ref)
	if err != nil {
		return fmt.Errorf("%s: confirming: %w", doing, err)
	}
	if there.Digest != digest {
		return fmt.Errorf("%s: the registry took it and then gave %s for %s; is something else moving the tag?", doing, there.Digest, ref)
	}
	return nil
}
