package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// authFileVariable names a file of credentials that comes before docker's
// configuration, as it does for podman, buildah and skopeo.
const authFileVariable = "REGISTRY_AUTH_FILE"

// containersAuth is a credentials file in podman's format
// (containers-auth.json(5)): keys are a host, or a host and the start of a
// repository's path.
type containersAuth struct {
	Auths map[string]struct {
		// Auth is USER:PASSWORD in base64.
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// authFileEntry are the credentials that a file has for a repository.
type authFileEntry struct {
	auth authn.AuthConfig
	// source is where they come from, for people.
	source string
}

func (e *authFileEntry) authenticator() authn.Authenticator {
	if e.auth == (authn.AuthConfig{}) {
		return authn.Anonymous
	}
	return authn.FromConfig(e.auth)
}

// fromAuthFile looks target up in the file that REGISTRY_AUTH_FILE names; nil
// if the variable is not set or the file has nothing for target.
func fromAuthFile(target authn.Resource) (*authFileEntry, error) {
	file := os.Getenv(authFileVariable)
	if file == "" {
		return nil, nil
	}
	entry, err := lookUpAuthFile(file, target)
	if err != nil {
		return nil, &credentialError{file: file + " (" + authFileVariable + ")", err: err}
	}
	return entry, nil
}

// fromPaths looks up in a docker configuration, or podman's file, what is
// there for target's repository or for the start of its path. Docker knows
// registries alone, and so does the library, which has the last word on those.
func fromPaths(file string, target authn.Resource) (*authFileEntry, error) {
	if file == "" {
		return nil, nil
	}
	return lookUpKeys(file, slices.DeleteFunc(authKeys(target), func(key string) bool {
		return !strings.Contains(key, "/") || key == authn.DefaultAuthKey
	}))
}

func lookUpAuthFile(file string, target authn.Resource) (*authFileEntry, error) {
	return lookUpKeys(file, authKeys(target))
}

// lookUpKeys is what file has for the first of the keys that it has anything for.
func lookUpKeys(file string, keys []string) (*authFileEntry, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var parsed containersAuth
	if err := json.Unmarshal(content, &parsed); err != nil {
		return nil, err
	}
	for _, key := range keys {
		if helper := parsed.CredHelpers[key]; helper != "" {
			return askHelper(file, helper, key)
		}
		login, ok := parsed.Auths[key]
		if !ok {
			continue
		}
		user, password, err := decodeLogin(login.Auth)
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", key, err)
		}
		return &authFileEntry{
			auth:   authn.AuthConfig{Username: user, Password: password, IdentityToken: login.IdentityToken},
			source: file,
		}, nil
	}
	return nil, nil
}

// authKeys are the keys that may hold target's credentials, the most specific
// first. Docker Hub goes by three names.
func authKeys(target authn.Resource) []string {
	var keys []string
	repository := target.String()
	for path := repository; ; {
		keys = append(keys, path)
		slash := strings.LastIndex(path, "/")
		if slash < 0 {
			break
		}
		path = path[:slash]
	}
	if target.RegistryStr() == name.DefaultRegistry {
		for _, key := range keys {
			keys = append(keys, "docker.io"+strings.TrimPrefix(key, name.DefaultRegistry))
		}
		keys = append(keys, authn.DefaultAuthKey)
	}
	return keys
}

// decodeLogin reads USER:PASSWORD in base64. Its errors do not repeat it.
func decodeLogin(encoded string) (user, password string, err error) {
	if encoded == "" {
		return "", "", nil
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", errors.New("auth is not base64")
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return "", "", errors.New("auth is not USER:PASSWORD in base64")
	}
	return user, password, nil
}

// askHelper runs docker-credential-HELPER.
func askHelper(file, helper, key string) (*authFileEntry, error) {
	program := "docker-credential-" + helper
	login, err := client.Get(client.NewShellProgramFunc(program), key)
	if credentials.IsErrCredentialsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	entry := &authFileEntry{source: fmt.Sprintf("%s (named in %s)", program, file)}
	// <token> in place of a user marks an identity token (docker login's
	// credential helper protocol).
	if login.Username == "<token>" {
		entry.auth.IdentityToken = login.Secret
	} else {
		entry.auth.Username, entry.auth.Password = login.Username, login.Secret
	}
	return entry, nil
}
