package docker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker/api/types/registry"
)

// Logins finds the login to show at an address: HOST, or HOST/PATH of a
// repository; the zero value is nobody's. It is called by several builds at once.
type Logins func(ctx context.Context, address string) (types.AuthConfig, error)

// Credentials answer an engine that asks for logins.
type Credentials struct {
	find Logins

	mu sync.Mutex
	// known are the answers of find, by address: a credential helper is a program
	// that takes its time, and an engine asks several times in a build.
	known map[string]knownLogin
}

type knownLogin struct {
	login types.AuthConfig
	since time.Time
}

// NewCredentials makes the credentials that find finds; nil finds none.
func NewCredentials(find Logins) *Credentials {
	if find == nil {
		find = func(context.Context, string) (types.AuthConfig, error) { return types.AuthConfig{}, nil }
	}
	return &Credentials{find: find, known: map[string]knownLogin{}}
}

// loginLife is how long an answer of a credential helper is taken for valid:
// the shortest-lived passwords that helpers of registries make last 5 minutes.
const loginLife = 4 * time.Minute

// Lookup is the login at an address.
func (c *Credentials) Lookup(ctx context.Context, address string) (types.AuthConfig, error) {
	c.mu.Lock()
	known, ok := c.known[address]
	c.mu.Unlock()
	if ok && time.Since(known.since) < loginLife {
		return known.login, nil
	}
	login, err := c.find(ctx, address)
	if err != nil {
		return types.AuthConfig{}, err
	}
	login.ServerAddress, _, _ = strings.Cut(address, "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[address] = knownLogin{login: login, since: time.Now()}
	return login, nil
}

// Header is the Engine API's authentication header for ref. Without a login it
// is that of an anonymous user.
func (c *Credentials) Header(ctx context.Context, ref reference.Named) (string, error) {
	login, err := c.Lookup(ctx, ref.Name())
	if err != nil {
		return "", err
	}
	return registry.EncodeAuthConfig(registry.AuthConfig{
		Username:      login.Username,
		Password:      login.Password,
		ServerAddress: login.ServerAddress,
		IdentityToken: login.IdentityToken,
		RegistryToken: login.RegistryToken,
	})
}

// Named parses a reference with the distribution grammar; one without tag and
// digest means the tag latest.
func Named(ref string) (reference.Named, error) {
	n, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, fmt.Errorf("image reference %q: %w", ref, err)
	}
	return reference.TagNameOnly(n), nil
}
