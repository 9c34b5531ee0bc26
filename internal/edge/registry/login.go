package registry

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/pkg/release"
)

// loginCheck is whether a host takes a login, found out once.
type loginCheck struct {
	once sync.Once
	good bool
}

// refusal is explain. Registries do not tell those who may not look from those
// who look for nothing: Docker Hub, GHCR, ECR and Artifactory answer 401 or 403
// for what a push would make. So a refusal of somebody whose login is right also
// is a release.ErrHidden; one of a login that is wrong is not.
func (c *Client) refusal(ctx context.Context, doing string, repo name.Repository, err error) error {
	explained := explain(ctx, doing, repo, err)
	if !isRefusal(err) || !c.loginIsRight(ctx, repo) {
		return explained
	}
	return fmt.Errorf("%w (%w)", explained, release.ErrHidden)
}

// loginIsRight tells whether the registry takes the login for repo where no
// repository is asked for, as docker login does: GET /v2/, with a token for
// nothing where the registry wants one. Without a login, it tells whether none
// is asked for.
func (c *Client) loginIsRight(ctx context.Context, repo name.Repository) bool {
	auth, err := keychain{}.ResolveContext(ctx, repo)
	if err != nil {
		return false
	}
	login, err := authn.Authorization(ctx, auth)
	if err != nil {
		return false
	}
	check := c.logins.of(fmt.Sprintf("%s %q", repo.RegistryStr(), *login))
	check.once.Do(func() { check.good = c.tryLogin(ctx, repo.Registry, auth) })
	return check.good
}

func (c *Client) tryLogin(ctx context.Context, registry name.Registry, auth authn.Authenticator) bool {
	if auth == authn.Anonymous {
		challenge, err := transport.Ping(ctx, registry, c.inner)
		return err == nil && challenge.Scheme == ""
	}
	authenticated, err := transport.NewWithContext(ctx, registry, auth, c.inner, nil)
	if err != nil {
		return false
	}
	host := registry.RegistryStr()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.early.transport.host(host).answersOn()+"://"+host+"/v2/", nil)
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
