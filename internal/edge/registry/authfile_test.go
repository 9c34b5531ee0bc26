package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

func writeAuthFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(authFileVariable, file)
	return file
}

func encode(login string) string { return base64.StdEncoding.EncodeToString([]byte(login)) }

// The server lets everybody in and the test sees as whom.
func TestAuthFile(t *testing.T) {
	home := noCredentials(t)
	var user string
	host, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(401)
			return
		}
		user, _, _ = r.BasicAuth()
		w.WriteHeader(404)
	}))
	bin := t.TempDir()
	helper := "#!/bin/sh\necho '{\"Username\": \"helped\", \"Secret\": \"pass\"}'\n"
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-for-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	for _, test := range []struct {
		name, content, want string
	}{
		{"host", `{"auths": {"HOST": {"auth": "` + encode("ann:pass") + `"}}}`, "ann"},
		{"namespace before host", `{"auths": {"HOST": {"auth": "` + encode("ann:pass") + `"}, "HOST/acme": {"auth": "` + encode("bob:pass") + `"}}}`, "bob"},
		{"other namespace", `{"auths": {"HOST/ac": {"auth": "` + encode("bob:pass") + `"}}}`, "docker"},
		{"nothing for the host falls back to docker's", `{"auths": {}}`, "docker"},
		{"helper", `{"credHelpers": {"HOST": "for-test"}}`, "helped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			writeConfig(t, home, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, encode("docker:pass")))
			writeAuthFile(t, strings.ReplaceAll(test.content, "HOST", host))
			_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
			if !errors.Is(err, reference.ErrNotFound) {
				t.Fatal(err)
			}
			if user != test.want {
				t.Errorf("user %q, want %q", user, test.want)
			}
			login, err := FindLogin(host + "/acme/go")
			if err != nil || login.Username != test.want || login.Password != "pass" {
				t.Errorf("FindLogin = %q with its password %q, %v; want %q", login.Username, login.Password, err, test.want)
			}
		})
	}
}

// Docker Hub goes by three names; identity tokens are no passwords.
func TestFindLogin(t *testing.T) {
	noCredentials(t)
	writeAuthFile(t, `{"auths": {
		"docker.io": {"auth": "`+encode("hub:pass")+`"},
		"r.example/acme": {"auth": "`+encode("ann:pass")+`"},
		"id.example": {"identitytoken": "token"}}}`)
	for address, want := range map[string]Login{
		"docker.io":                {Username: "hub", Password: "pass"},
		"docker.io/library/debian": {Username: "hub", Password: "pass"},
		"r.example/acme/x":         {Username: "ann", Password: "pass"},
		"id.example/x":             {IdentityToken: "token"},
		"other.example/x":          {},
	} {
		if got, err := FindLogin(address); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", address, got, err, want)
		}
	}
	if _, err := FindLogin("r.example/NO"); err == nil {
		t.Error("a name that is not a repository's has a login")
	}
	writeAuthFile(t, `{"auths": {"r.example": {"auth": "%"}}}`)
	if _, err := FindLogin("r.example/x"); !isCredentialError(err) {
		t.Errorf("error %v", err)
	}
}

func TestAuthFileErrors(t *testing.T) {
	noCredentials(t)
	const secret = "s3cret-word"
	host, _ := startServer(t, answering(403))
	resolve := func() error {
		_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
		if err == nil {
			t.Fatal("no error")
		}
		for _, hidden := range []string{secret, encode("ann:" + secret)} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the error says %q:\n%v", hidden, err)
			}
		}
		return err
	}

	file := writeAuthFile(t, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, encode("ann:"+secret)))
	mustContain(t, resolve(), "answered 403", "credentials: "+file+";")
	for name, content := range map[string]string{
		"no JSON":    secret,
		"no base64":  fmt.Sprintf(`{"auths": {%q: {"auth": "%s!"}}}`, host, secret),
		"no colon":   fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, encode(secret)),
		"no program": fmt.Sprintf(`{"credHelpers": {%q: "absent-for-test"}}`, host),
	} {
		t.Run(name, func(t *testing.T) {
			file := writeAuthFile(t, content)
			mustContain(t, resolve(), "reading the credentials for "+host, file, authFileVariable)
		})
	}
	t.Setenv(authFileVariable, filepath.Join(t.TempDir(), "absent.json"))
	mustContain(t, resolve(), "reading the credentials for "+host, "absent.json", "no such file")
}

func TestAuthKeys(t *testing.T) {
	for ref, want := range map[string][]string{
		"quay.io/acme/go": {"quay.io/acme/go", "quay.io/acme", "quay.io"},
		"kubeless/go": {
			"index.docker.io/kubeless/go", "index.docker.io/kubeless", "index.docker.io",
			"docker.io/kubeless/go", "docker.io/kubeless", "docker.io", "https://index.docker.io/v1/",
		},
	} {
		repository, err := name.NewRepository(ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := authKeys(repository); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", ref, got, want)
		}
	}
}
