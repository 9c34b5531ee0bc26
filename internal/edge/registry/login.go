package registry

import (
	"context"
	"fmt"
	"net/http"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// refusal is explain. Registries do not tell those who may not look from those
// who look for nothing: Docker Hub, GHCR, ECR and Artifactory answer 401 or 403
// for what a push would make. So a refusal of somebody whose login is right also
// is a reference.ErrHidden; one of a login that is wrong is not.
func (c *Client) refusal(ctx context.Context, doing string, repo name.Repository, err error) error {
	explained := explain(ctx, doing, repo, err)
	if !isRefusal(err) || !c.loginIsRight(ctx, repo) {
		return explained
	}
	return fmt.Errorf("%w (%w)", explained, reference.ErrHidden)
}

// loginIsRight tells whether the registry takes the login for repo where no
// repository is asked for, as docker login does: GET /v2/, with a token for
// nothing where the registry wants one. Without a login, it tells whether none
// is asked for.
func (c *Client) loginIsRight(ctx context.Context, repo name.Repository) bool {
	login, err := findLogin(ctx, repo)
	if err != nil {
		return false
	}
	right, err := c.logins.get(ctx, loginKey(repo.Registry, login), func(ctx context.Context) (bool, error) {
		return c.tryLogin(ctx, repo.Registry, login), nil
	})
	return right && err == nil
}

func (c *Client) tryLogin(ctx context.Context, registry name.Registry, login types.AuthConfig) bool {
	challenge, err := c.challenge(ctx, registry, false)
	if err != nil || login == (types.AuthConfig{}) {
		return err == nil && challenge.Scheme == ""
	}
	authenticated, err := c.authenticate(ctx, registry, login, false)
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+registry.RegistryStr()+"/v2/", nil)
	if err != nil {
		return false
	}
	resp, err := (&http.Client{Transport: authenticated}).Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
