package registry

import (
	"context"
	"fmt"
	"net/http"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/internal/edge/logins"
)

// A session makes the requests about one repository, and shows its registry what
// that wants to be shown: nothing, a password, or a token.
type session struct {
	puller *remote.Puller
	pusher *remote.Pusher
	// unasked tells that the registry was not asked what it wants, and is shown
	// nothing.
	unasked bool
}

func sessionKey(repo name.Repository, action string) string {
	return repo.RegistryStr() + " " + repo.Scope(action)
}

// session is that of a repository for an action (transport.PullScope,
// PushScope). Where nobody has a login, asking what the registry wants is a round
// trip before every other: it is left out of pulls until an answer says more.
func (c *Client) session(ctx context.Context, repo name.Repository, action string) (*session, error) {
	return c.sessions.get(ctx, sessionKey(repo, action), func(ctx context.Context) (*session, error) {
		login, err := findLogin(ctx, repo)
		if err != nil {
			return nil, err
		}
		unasked := login == (types.AuthConfig{}) && action == transport.PullScope && c.hosts.greeting(repo.RegistryStr()).status == 0
		authenticated, err := c.authenticate(ctx, repo.Registry, login, unasked, repo.Scope(action))
		if err != nil {
			return nil, err
		}
		return newSession(authenticated, unasked)
	})
}

func newSession(authenticated http.RoundTripper, unasked bool) (*session, error) {
	options := []remote.Option{
		remote.WithTransport(authenticated),
		// The library's own retries are off, so that there is one layer of them.
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, err
	}
	pusher, err := remote.NewPusher(options...)
	return &session{puller: puller, pusher: pusher, unasked: unasked}, err
}

// ask puts a question about a repository to its registry.
func ask[T any](ctx context.Context, c *Client, repo name.Repository, question func(*remote.Puller) (T, error)) (answer T, err error) {
	key := sessionKey(repo, transport.PullScope)
	s, err := c.session(ctx, repo, transport.PullScope)
	if err != nil {
		return answer, err
	}
	answer, err = question(s.puller)
	if s.unasked && statusOf(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound) {
		// The registry may say something else to those with a token, which some
		// give to everybody.
		challenge, checkErr := c.challenge(ctx, repo.Registry, false)
		if checkErr != nil {
			return answer, checkErr
		}
		if challenge.Scheme != "" {
			c.sessions.forget(key, s)
			if s, err = c.session(ctx, repo, transport.PullScope); err != nil {
				return answer, err
			}
			answer, err = question(s.puller)
		}
	}
	if isRefusal(err) {
		// A repository may come to be with a push.
		c.sessions.forget(key, s)
	}
	return answer, err
}

// challenge is what a registry answers to who shows nothing: whether it wants a
// password, or a token and from where. It is asked once for all who want to know,
// unless another answer has said so before; unasked leaves it at which scheme the
// registry answers on.
func (c *Client) challenge(ctx context.Context, registry name.Registry, unasked bool) (*transport.Challenge, error) {
	return c.challenges.get(ctx, fmt.Sprint(registry.RegistryStr(), unasked), func(ctx context.Context) (*transport.Challenge, error) {
		return transport.Ping(ctx, registry, c.transport(unasked))
	})
}

// transport carries requests below the library's authentication.
func (c *Client) transport(unasked bool) http.RoundTripper {
	if unasked {
		return transport.NewUserAgent(assumingOpen{c.hosts}, c.userAgent)
	}
	return transport.NewUserAgent(c.hosts, c.userAgent)
}

// authenticate makes a transport that shows a registry what it wants; scopes are
// what a token is to be for.
//
// A token server is asked once whether a login is right, or twice where that takes
// a second question: one that counts failures locks the user out before a tree of
// images is through. The others wait for that.
func (c *Client) authenticate(ctx context.Context, registry name.Registry, login types.AuthConfig, unasked bool, scopes ...string) (http.RoundTripper, error) {
	// The library makes this check too, for each repository, and has its answer from
	// this one.
	if _, err := c.challenge(ctx, registry, unasked); err != nil {
		return nil, err
	}
	show := func(scopes ...string) (http.RoundTripper, error) {
		return transport.NewWithContext(ctx, registry, authenticator(login), c.transport(unasked), scopes)
	}
	if login == (types.AuthConfig{}) {
		return show(scopes...)
	}
	first := false
	var shown http.RoundTripper
	var refused error
	said, err := c.verdicts.get(ctx, loginKey(registry, login), func(context.Context) (*verdict, error) {
		first = true
		shown, refused = show(scopes...)
		if refused != nil && !isRefusal(refused) {
			return nil, refused
		}
		if !statusOf(refused, http.StatusUnauthorized) {
			return &verdict{}, nil
		}
		// Some refuse tokens for repositories that do not exist as they refuse
		// logins.
		if _, err := show(); err == nil {
			return &verdict{}, nil
		}
		return &verdict{wrong: refused}, nil
	})
	switch {
	case err != nil:
		return nil, err
	case said.wrong != nil:
		return nil, said.wrong
	case first:
		return shown, refused
	}
	return show(scopes...)
}

// A verdict is what a token server says of a login.
type verdict struct {
	// wrong is the refusal of one that is wrong.
	wrong error
}

// findLogin is the stored login for a repository.
func findLogin(ctx context.Context, repo name.Repository) (types.AuthConfig, error) {
	login, err := logins.Find(ctx, repo.Name())
	if err != nil {
		return types.AuthConfig{}, &localError{err}
	}
	return login, nil
}

// authenticator has the library show nothing where there is no login.
func authenticator(login types.AuthConfig) authn.Authenticator {
	if login == (types.AuthConfig{}) {
		return authn.Anonymous
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: login.Username, Password: login.Password, IdentityToken: login.IdentityToken, RegistryToken: login.RegistryToken,
	})
}

func loginKey(registry name.Registry, login types.AuthConfig) string {
	return fmt.Sprintf("%s %q", registry.RegistryStr(), login)
}
