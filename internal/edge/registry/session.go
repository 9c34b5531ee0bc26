package registry

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
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
	return c.sessions.get(ctx, sessionKey(repo, action), func() (*session, error) {
		found, err := findLogin(repo)
		if err != nil {
			return nil, err
		}
		challenge, asked := c.challenges.peek(repo.RegistryStr())
		unasked := false
		if !asked && action == transport.PullScope && found.login == (authn.AuthConfig{}) {
			var scheme string
			scheme, unasked = c.scheme(ctx, repo.Registry)
			challenge = &transport.Challenge{Insecure: scheme == "http"}
		}
		if !asked && !unasked {
			if challenge, err = c.challenge(ctx, repo.Registry); err != nil {
				return nil, err
			}
		}
		authenticated, err := c.authenticate(ctx, repo.Registry, found.login, challenge, repo.Scope(action))
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

// ask puts a question to the registry of ref.
func ask[T any](ctx context.Context, c *Client, ref name.Reference, question func(*remote.Puller) (T, error)) (answer T, err error) {
	repo := ref.Context()
	key := sessionKey(repo, transport.PullScope)
	s, err := c.session(ctx, repo, transport.PullScope)
	if err != nil {
		return answer, err
	}
	answer, err = question(s.puller)
	if s.unasked && statusOf(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound) {
		// The registry may say something else to those with a token, which some
		// give to everybody.
		challenge, checkErr := c.challenge(ctx, repo.Registry)
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
// password, or a token and from where. It is asked once (GET /v2/), unless another
// answer has said so before.
func (c *Client) challenge(ctx context.Context, registry name.Registry) (*transport.Challenge, error) {
	return c.challenges.get(ctx, registry.RegistryStr(), func() (*transport.Challenge, error) {
		return transport.Ping(ctx, registry, c.transport)
	})
}

// learn keeps the challenge that an answer of a registry holds, if it does.
func (c *Client) learn(req *http.Request, resp *http.Response) {
	host := req.URL.Host
	refused := resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != ""
	if !strings.HasPrefix(req.URL.Path, "/v2/") || !refused && (req.URL.Path != "/v2/" || resp.StatusCode != http.StatusOK) {
		return
	}
	registry, err := name.NewRegistry(host)
	if _, known := c.challenges.peek(host); known || err != nil {
		return
	}
	// The library reads challenges out of what it has asked for itself alone.
	challenge, err := transport.Ping(req.Context(), registry, givenAnswer{&http.Response{
		StatusCode: resp.StatusCode, Header: resp.Header, Body: http.NoBody, Request: req,
	}})
	if err == nil {
		c.challenges.put(host, challenge)
	}
}

// givenAnswer is an answer that is there already.
type givenAnswer struct{ resp *http.Response }

// RoundTrip implements http.RoundTripper.
func (a givenAnswer) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }

// authenticate makes a transport that shows a registry what it wants; scopes are
// what a token is to be for.
func (c *Client) authenticate(ctx context.Context, registry name.Registry, login authn.AuthConfig, challenge *transport.Challenge, scopes ...string) (http.RoundTripper, error) {
	inner := &schemeTransport{inner: c.transport, host: registry.RegistryStr(), scheme: "https"}
	if challenge.Insecure {
		inner.scheme = "http"
	}
	var token *transport.Token
	if strings.EqualFold(challenge.Scheme, "bearer") {
		var err error
		if token, err = c.token(ctx, registry, login, challenge, scopes); err != nil {
			return nil, err
		}
	}
	return transport.FromToken(registry, authenticator(login), inner, challenge, token)
}

// authenticator has the library show nothing where there is no login.
func authenticator(login authn.AuthConfig) authn.Authenticator {
	if login == (authn.AuthConfig{}) {
		return authn.Anonymous
	}
	return authn.FromConfig(login)
}

// token gets a token. A token server is asked once whether a login is right, or
// twice where that takes a second question: one that counts failures locks the
// user out before a tree of images is through. The others wait for that.
func (c *Client) token(ctx context.Context, registry name.Registry, login authn.AuthConfig, challenge *transport.Challenge, scopes []string) (*transport.Token, error) {
	if login.RegistryToken != "" {
		return &transport.Token{Token: login.RegistryToken}, nil
	}
	exchange := func(scopes ...string) (*transport.Token, error) {
		token, err := transport.Exchange(ctx, registry, authenticator(login), c.transport, scopes, challenge)
		if err != nil {
			return nil, err
		}
		token.Token = cmp.Or(token.AccessToken, token.Token)
		return token, nil
	}
	if login == (authn.AuthConfig{}) {
		return exchange(scopes...)
	}
	first := false
	var token *transport.Token
	var refused error
	said, err := c.verdicts.get(ctx, loginKey(registry, login), func() (*verdict, error) {
		first = true
		token, refused = exchange(scopes...)
		if refused != nil && !isRefusal(refused) {
			return nil, refused
		}
		if !statusOf(refused, http.StatusUnauthorized) {
			return &verdict{}, nil
		}
		// Some refuse tokens for repositories that do not exist as they refuse
		// logins.
		if _, err := exchange(); err == nil {
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
		return token, refused
	}
	return exchange(scopes...)
}

// A verdict is what a token server says of a login.
type verdict struct {
	// wrong is the refusal of one that is wrong.
	wrong error
}

func loginKey(registry name.Registry, login authn.AuthConfig) string {
	return registry.RegistryStr() + " " + strings.Join([]string{login.Username, login.Password, login.IdentityToken, login.RegistryToken}, "\x00")
}
