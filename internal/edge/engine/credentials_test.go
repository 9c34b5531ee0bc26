package engine

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker/api/types/registry"
	sessionauth "github.com/moby/buildkit/session/auth"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// found is a Logins that has a user for some addresses, and counts the questions.
func found(users map[string]string, asked map[string]int) docker.Logins {
	return func(_ context.Context, address string) (types.AuthConfig, error) {
		asked[address]++
		if address == "broken.example/x" {
			return types.AuthConfig{}, errors.New("the helper is gone")
		}
		if users[address] == "" {
			return types.AuthConfig{}, nil
		}
		return types.AuthConfig{Username: users[address], Password: "secret"}, nil
	}
}

func TestPushHeader(t *testing.T) {
	asked := map[string]int{}
	credentials := newCredentials(found(map[string]string{"r.example:5000/a/b": "ann", "docker.io/acme/x": "hub"}, asked), nil)
	for range 2 {
		for ref, want := range map[string]string{"r.example:5000/a/b:1": "ann", "acme/x:1": "hub", "other.example/x:1": ""} {
			n, err := reference.ParseNormalizedNamed(ref)
			if err != nil {
				t.Fatal(err)
			}
			header, err := credentials.Header(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			login, err := registry.DecodeAuthConfig(header)
			if err != nil {
				t.Fatal(err)
			}
			if login.Username != want || (login.Password == "secret") != (want != "") {
				t.Errorf("login to push %s = %q, %q; want %q", ref, login.Username, login.Password, want)
			}
		}
	}
	for address, times := range asked {
		if times != 1 {
			t.Errorf("%s was looked up %d times", address, times)
		}
	}
	broken, err := reference.ParseNormalizedNamed("broken.example/x:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := credentials.Header(t.Context(), broken); err == nil {
		t.Error("a login that could not be read counts as none")
	}
}

// Which login an engine gets: that for the repository, as far as it says which
// one it is about.
func TestSessionLogin(t *testing.T) {
	for _, test := range []struct {
		host   string
		scopes []string
		want   string
	}{
		{"r.example", []string{"repository:acme/base:pull"}, "r.example/acme/base"},
		{"r.example", []string{"repository:acme/base:pull", "repository:acme/web:pull,push"}, "r.example/acme/web"},
		{"r.example", nil, "r.example/acme/web"},
		{"r.example", []string{"registry:catalog:*"}, "r.example/acme/web"},
		{"other.example:5000", nil, "other.example:5000"},
		{"registry-1.docker.io", []string{"repository:library/debian:pull"}, "docker.io/library/debian"},
		{"registry-1.docker.io", nil, "docker.io"},
	} {
		asked := map[string]int{}
		credentials := newCredentials(found(map[string]string{test.want: "ann"}, asked), nil)
		attachable, err := credentials.session(build.Request{Push: true, References: []string{"r.example/acme/web:1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		login, err := attachable.(*authServer).login(t.Context(), test.host, test.scopes, nil)
		if err != nil || login.Username != "ann" {
			t.Errorf("%s %q: asked for %v, want %s; %v", test.host, test.scopes, asked, test.want, err)
		}
	}
}

// A token comes from a server that only our roots vouch for, and for the login
// of the repository.
func TestFetchToken(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		if r.Method == http.MethodPost {
			user = r.FormValue("grant_type") + " " + r.FormValue("refresh_token")
		}
		fmt.Fprintf(w, `{"token": %[1]q, "access_token": %[1]q, "expires_in": 7}`, user+" for "+r.FormValue("scope"))
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	logins := func(_ context.Context, address string) (types.AuthConfig, error) {
		return map[string]types.AuthConfig{
			"r.example/acme/web": {Username: "ann", Password: "secret"},
			"r.example/acme/id":  {IdentityToken: "identity"},
			"r.example/acme/reg": {RegistryToken: "ready"},
		}[address], nil
	}
	fetch := func(roots *x509.CertPool, repository string) (*sessionauth.FetchTokenResponse, error) {
		attachable, err := newCredentials(logins, roots).session(build.Request{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return attachable.(*authServer).FetchToken(t.Context(), &sessionauth.FetchTokenRequest{
			ClientID: "x", Host: "r.example", Realm: server.URL, Scopes: []string{"repository:acme/" + repository + ":pull"},
		})
	}
	for repository, want := range map[string]string{
		"web":  "ann for repository:acme/web:pull",
		"id":   "refresh_token identity for repository:acme/id:pull",
		"reg":  "ready",
		"free": " for repository:acme/free:pull",
	} {
		token, err := fetch(roots, repository)
		if err != nil || token.Token != want {
			t.Errorf("%s: token %q, %v; want %q", repository, token.GetToken(), err, want)
		}
	}
	var unknown x509.UnknownAuthorityError
	if _, err := fetch(nil, "web"); !errors.As(err, &unknown) {
		t.Errorf("without the roots: %v", err)
	}
}
