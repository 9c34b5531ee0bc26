package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

func writeAuthFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REGISTRY_AUTH_FILE", file)
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
		})
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
			mustContain(t, resolve(), "reading the credentials for "+host, file, "REGISTRY_AUTH_FILE")
		})
	}
	t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(t.TempDir(), "absent.json"))
	mustContain(t, resolve(), "reading the credentials for "+host, "absent.json", "no such file")
}
