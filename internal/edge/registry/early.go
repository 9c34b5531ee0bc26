package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// schemeWait bounds the question whether a host that may be spoken to over
// plain HTTP speaks HTTPS. It is what the library gives HTTPS before it tries
// the other as well.
const schemeWait = 300 * time.Millisecond

// early asks a host at which nobody has an account without the version check
// that the library begins with: that is a round trip before every other one.
// The requests carry no credentials.
type early struct {
	transport *registryTransport
	insecure  insecureHosts
	puller    *remote.Puller
	hosts     *perHost[*earlyHost]
}

// earlyHost is whether a host is asked early, found out once.
type earlyHost struct {
	once sync.Once
	yes  bool
}

func newEarly(inner *registryTransport, insecure insecureHosts, userAgent string) *early {
	// A transport that the library takes for one that is authenticated, and so
	// leaves alone. Only a challenge to answer with a token makes it an error.
	anonymous, err := transport.FromToken(name.Registry{}, authn.Anonymous, transport.NewUserAgent(inner, userAgent), &transport.Challenge{}, nil)
	if err != nil {
		panic(fmt.Sprintf("registry client: %v", err))
	}
	return &early{
		transport: inner,
		insecure:  insecure,
		puller:    newPuller([]remote.Option{remote.WithTransport(anonymous)}),
		hosts:     newPerHost(func() *earlyHost { return &earlyHost{} }),
	}
}

// askEarly asks for ref. Without an answer that can be relied on, final is false:
// then the question is one for the library.
func askEarly[T any](ctx context.Context, e *early, ref name.Reference, ask func(*remote.Puller) (T, error)) (answer T, final bool, err error) {
	repo := ref.Context()
	if e.transport.host(repo.RegistryStr()).known() {
		return answer, false, nil
	}
	host := e.hosts.of(repo.RegistryStr())
	host.once.Do(func() { host.yes = e.suits(ctx, repo) })
	if !host.yes {
		return answer, false, nil
	}
	answer, err = ask(e.puller)
	var refusal *transport.Error
	if !errors.As(err, &refusal) {
		return answer, true, err
	}
	switch refusal.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		// The registry may say something else to those with a token, which
		// some give to everybody.
		challenge, checkErr := transport.Ping(ctx, repo.Registry, e.transport)
		return answer, checkErr == nil && challenge.Scheme == "", err
	}
	return answer, true, err
}

// suits tells whether there are no credentials for repo, so that nothing is
// lost by a request without, and whether the scheme is certain.
func (e *early) suits(ctx context.Context, repo name.Repository) bool {
	auth, err := keychain{}.ResolveContext(ctx, repo)
	if err != nil || auth != authn.Anonymous {
		return false
	}
	return repo.Scheme() == "https" || e.plain(ctx, repo.RegistryStr())
}

// plain tells whether a host may be spoken to over plain HTTP and answers in
// it where HTTPS was expected.
func (e *early) plain(ctx context.Context, host string) bool {
	if !e.insecure.allow(host) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, schemeWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return false
	}
	resp, err := (&http.Client{Transport: e.transport}).Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return errors.Is(err, http.ErrSchemeMismatch)
}
