package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.Cleaner = (*Client)(nil)

// Tags implements release.Cleaner. It takes a GET for each page that the registry
// makes of them.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	doing := "listing the tags of " + repository
	parsed, err := c.parse(repository + ":latest")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	tags, err := ask(ctx, c, parsed, func(p *remote.Puller) ([]string, error) { return p.List(ctx, parsed.Context()) })
	if err != nil {
		err = explain(ctx, doing, parsed.Context(), err)
		if errors.Is(err, reference.ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	return tags, nil
}

// Delete implements release.Cleaner: the distribution protocol deletes the tags
// of a manifest with it.
func (c *Client) Delete(ctx context.Context, ref string) error {
	doing := "deleting " + ref
	parsed, err := c.parse(ref)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if _, ok := parsed.(name.Digest); !ok {
		return fmt.Errorf("%s: the reference names a tag, not a digest", doing)
	}
	s, err := c.session(ctx, parsed.Context(), transport.DeleteScope)
	if err == nil {
		err = s.pusher.Delete(ctx, parsed)
	}
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusMethodNotAllowed {
		return fmt.Errorf("%s: %w; its operator can allow them (Docker's registry: REGISTRY_STORAGE_DELETE_ENABLED=true), or cleans up in a way of its own: %w", doing, reference.ErrNoDeletes, err)
	}
	if err != nil {
		return explain(ctx, doing, parsed.Context(), err)
	}
	return nil
}
