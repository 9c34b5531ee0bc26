package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker/auth"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session"
	sessionauth "github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/util/progress/progresswriter"
	"google.golang.org/grpc"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// credentials answer an engine that asks for logins.
type credentials struct {
	*docker.Credentials
	// client asks the servers that hand out tokens.
	client *http.Client
}

// newCredentials makes the credentials that find finds; nil finds none. Roots
// are trusted where a server hands out tokens; nil: the system's.
func newCredentials(find docker.Logins, roots *x509.CertPool) *credentials {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       90 * time.Second,
	}
	return &credentials{Credentials: docker.NewCredentials(find), client: &http.Client{Transport: transport}}
}

// session answers an engine that asks for logins during one build. Log gets
// the engine's requests as progress.
func (c *credentials) session(req build.Request, log progresswriter.Logger) (session.Attachable, error) {
	a := &authServer{credentials: c, pushed: map[string]string{}}
	if req.Push {
		for _, ref := range req.References {
			n, err := docker.Named(ref)
			if err != nil {
				return nil, err
			}
			a.pushed[engineHost(reference.Domain(n))] = n.Name()
		}
	}
	provider := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: a.login})
	server, ok := provider.(sessionauth.AuthServer)
	if !ok {
		return nil, errors.New("this version of BuildKit's client cannot answer an engine that asks for logins")
	}
	if p, ok := provider.(interface{ SetLogger(progresswriter.Logger) }); ok {
		p.SetLogger(log)
	}
	a.AuthServer = server
	return a, nil
}

// An authServer is BuildKit's own one, except that it asks for tokens with our
// client: a server that hands them out may be one that only we trust.
type authServer struct {
	sessionauth.AuthServer
	credentials *credentials
	// pushed is the repository that the build pushes to, by the engine's name
	// of the host.
	pushed map[string]string
}

// Register implements session.Attachable.
func (a *authServer) Register(server *grpc.Server) { sessionauth.RegisterAuthServer(server, a) }

// login implements authprovider.AuthConfigProvider.
func (a *authServer) login(ctx context.Context, host string, scopes []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
	return a.credentials.Lookup(ctx, a.address(host, scopes))
}

// address is where a login is wanted: the repository that scopes name, the one
// pushed to before one that layers are mounted from. Where they name none the
// registry wants one login for all that it has, and gets the one for the
// repository that the build pushes to.
func (a *authServer) address(host string, scopes []string) string {
	address := ""
	for _, scope := range scopes {
		repository, ok := strings.CutPrefix(scope, "repository:")
		colon := strings.LastIndexByte(repository, ':')
		if !ok || colon < 0 {
			continue
		}
		if actions := strings.Split(repository[colon+1:], ","); address == "" || slices.Contains(actions, "push") {
			address = registryHost(host) + "/" + repository[:colon]
		}
	}
	switch {
	case address != "":
		return address
	case a.pushed[host] != "":
		return a.pushed[host]
	}
	return registryHost(host)
}

// Docker Hub's host in references and to engines.
const (
	hubDomain = "docker.io"
	hubHost   = authprovider.DockerHubRegistryHost
)

func engineHost(domain string) string {
	if domain == hubDomain {
		return hubHost
	}
	return domain
}

func registryHost(host string) string {
	if host == hubHost {
		return hubDomain
	}
	return host
}

// FetchToken implements sessionauth.AuthServer, as the distribution
// specification describes it: POST for identity tokens, else GET, with the
// login if there is one.
func (a *authServer) FetchToken(ctx context.Context, req *sessionauth.FetchTokenRequest) (*sessionauth.FetchTokenResponse, error) {
	login, err := a.login(ctx, req.Host, req.Scopes, nil)
	if err != nil {
		return nil, err
	}
	options := auth.TokenOptions{Realm: req.Realm, Service: req.Service, Scopes: req.Scopes}
	switch {
	case login.RegistryToken != "":
		return &sessionauth.FetchTokenResponse{Token: login.RegistryToken}, nil
	case login.IdentityToken != "":
		options.Secret = login.IdentityToken
		answer, err := auth.FetchTokenWithOAuth(ctx, a.credentials.client, nil, req.ClientID, options)
		if err != nil {
			return nil, fmt.Errorf("fetching a token for %s: %w", req.Host, err)
		}
		return tokenResponse(answer.AccessToken, answer.IssuedAt, answer.ExpiresInSeconds), nil
	}
	options.Username, options.Secret = login.Username, login.Password
	answer, err := auth.FetchToken(ctx, a.credentials.client, nil, options)
	if err != nil {
		return nil, fmt.Errorf("fetching a token for %s: %w", req.Host, err)
	}
	return tokenResponse(answer.Token, answer.IssuedAt, answer.ExpiresInSeconds), nil
}

func tokenResponse(token string, issued time.Time, seconds int) *sessionauth.FetchTokenResponse {
	response := &sessionauth.FetchTokenResponse{Token: token, ExpiresIn: int64(seconds)}
	if !issued.IsZero() {
		response.IssuedAt = issued.Unix()
	}
	return response
}
