package logins

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config/types"
)

// authFile makes content the file of REGISTRY_AUTH_FILE, and returns its path.
func authFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(fileVariable, file)
	return file
}

// dockerConfig makes content the only stored credentials.
func dockerConfig(t *testing.T, content string) {
	t.Helper()
	folder := t.TempDir()
	for name, value := range map[string]string{"HOME": folder, "DOCKER_CONFIG": folder, fileVariable: "", "XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": ""} {
		t.Setenv(name, value)
	}
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func encode(login string) string { return base64.StdEncoding.EncodeToString([]byte(login)) }

// Docker Hub goes by three names; identity tokens are no passwords.
func TestFind(t *testing.T) {
	dockerConfig(t, `{"auths": {"r.example": {"auth": "`+encode("docker:pass")+`"}, "only.example": {"auth": "`+encode("docker:pass")+`"}}}`)
	authFile(t, `{"auths": {
		"docker.io": {"auth": "`+encode("hub:pass")+`"},
		"r.example/acme": {"auth": "`+encode("ann:pass")+`"},
		"id.example": {"identitytoken": "token"}}}`)
	for address, want := range map[string]types.AuthConfig{
		"docker.io":                {Username: "hub", Password: "pass"},
		"docker.io/library/debian": {Username: "hub", Password: "pass"},
		"r.example/acme/x":         {Username: "ann", Password: "pass"},
		"r.example/ac/x":           {Username: "docker", Password: "pass"},
		"only.example/x":           {Username: "docker", Password: "pass"},
		"id.example/x":             {IdentityToken: "token"},
		"other.example/x":          {},
	} {
		if got, err := Find(t.Context(), address); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", address, got, err, want)
		}
	}
	if _, err := Find(t.Context(), "r.example/NO"); err == nil {
		t.Error("a name that is not a repository's has a login")
	}
}

// A program is asked for the registry's login, and what it is asked for is its
// name in the file.
func TestFindByProgram(t *testing.T) {
	bin := t.TempDir()
	program := "#!/bin/sh\nprintf '{\"Username\": \"%s\", \"Secret\": \"pass\"}' \"$(cat)\"\n"
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-for-test"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	dockerConfig(t, `{"credHelpers": {"r.example/acme": "for-test", "r.example": "for-test"}}`)
	for address, want := range map[string]string{"r.example/acme/x": "r.example/acme", "r.example/x": "r.example", "other.example": ""} {
		if got, err := Find(t.Context(), address); err != nil || got.Username != want {
			t.Errorf("%s: %+v, %v; want %q", address, got, err, want)
		}
	}
}

// TestFindByPath finds the login of the longest start of a repository's path.
func TestFindByPath(t *testing.T) {
	dockerConfig(t, `{"auths": {
		"registry.example": {"username": "host", "password": "p"},
		"registry.example/acme": {"auth": "YWNtZTpw"},
		"registry.example/acme/tools/pip": {"auth": "cGlwOnA="},
		"docker.io/acme": {"auth": "aHViOnA="}
	}}`)
	for place, want := range map[string]string{
		"registry.example/other/a":          "host",
		"registry.example":                  "host",
		"registry.example/acme/a":           "acme",
		"registry.example/acme/tools":       "acme",
		"registry.example/acme/tools/pip":   "pip",
		"registry.example/acme/tools/pip/x": "pip",
		"registry.example/acmetoo/a":        "host",
		"docker.io/acme/a":                  "hub",
		"docker.io/library/a":               "",
	} {
		if there, err := Find(t.Context(), place); err != nil || there.Username != want {
			t.Errorf("%s: %q (%v), want %q", place, there.Username, err, want)
		}
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	const secret = "s3cret-word"
	dockerConfig(t, "{}")
	for name, content := range map[string]string{
		"no JSON":    secret,
		"no base64":  fmt.Sprintf(`{"auths": {"r.example": {"auth": "%s!"}}}`, secret),
		"no colon":   fmt.Sprintf(`{"auths": {"r.example": {"auth": %q}}}`, encode(secret)),
		"no program": `{"credHelpers": {"r.example": "absent-for-test"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := authFile(t, content)
			_, err := Find(t.Context(), "r.example/x")
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range []string{"reading the credentials for r.example", file, fileVariable} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q:\n%v", part, err)
				}
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), encode(secret)) {
				t.Errorf("the error says the secret:\n%v", err)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	for address, want := range map[string][]string{
		"quay.io/acme/go": {"quay.io/acme/go", "quay.io/acme", "quay.io"},
		"quay.io":         {"quay.io"},
		"kubeless/go": {
			"index.docker.io/kubeless/go", "index.docker.io/kubeless", "index.docker.io",
			"docker.io/kubeless/go", "docker.io/kubeless", "docker.io", "https://index.docker.io/v1/",
		},
	} {
		got, host, err := keysOf(address)
		if err != nil || !slices.Equal(got, want) || host != strings.SplitN(want[0], "/", 2)[0] {
			t.Errorf("%s: %v at %s, %v; want %v", address, got, host, err, want)
		}
	}
}
