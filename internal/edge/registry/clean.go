package registry

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/pkg/prune"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

var _ prune.Cleaner = (*Client)(nil)

// Tags implements prune.Cleaner. It takes a GET for each page that the registry
// makes of them.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	doing := "listing the tags of " + repository
	repo, err := c.parseRepository(doing, repository)
	if err != nil {
		return nil, err
	}
	tags, err := ask(ctx, c, repo, func(p *remote.Puller) ([]string, error) { return p.List(ctx, repo) })
	switch {
	case statusOf(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		return nil, explain(ctx, doing, repo, err)
	}
	return tags, nil
}

// Delete implements prune.Cleaner: the distribution protocol deletes the tags
// of a manifest with it.
func (c *Client) Delete(ctx context.Context, ref string) error {
	doing := "deleting " + ref
	parsed, err := c.parse(doing, ref)
	if err != nil {
		return err
	}
	if _, ok := parsed.(name.Digest); !ok {
		return fmt.Errorf("%s: the reference names a tag, not a digest", doing)
	}
	err = c.write(ctx, parsed.Context(), transport.DeleteScope, func(p *remote.Pusher) error { return p.Delete(ctx, parsed) })
	if statusOf(err, http.StatusMethodNotAllowed) {
		return fmt.Errorf("%s: %w; its operator can allow them (Docker's registry: REGISTRY_STORAGE_DELETE_ENABLED=true), or cleans up in a way of its own: %w", doing, reference.ErrNoDeletes, err)
	}
	if err != nil {
		return explain(ctx, doing, parsed.Context(), err)
	}
	return nil
}
