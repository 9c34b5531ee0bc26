package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// keychain is the credentials of REGISTRY_AUTH_FILE and of the docker
// configuration, with errors that can be told from a registry's.
type keychain struct{}

var _ authn.ContextKeychain = keychain{}

// Resolve implements authn.Keychain.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	entry, err := fromAuthFile(target)
	if err != nil {
		return nil, err
	}
	if entry != nil {
		return entry.authenticator(), nil
	}
	file := authFile()
	missing := missingStore(file)
	if missing != "" {
		entry, err = lookUpAuthFile(file, target)
	} else {
		entry, err = fromPaths(file, target)
	}
	switch {
	case err != nil:
		return nil, &credentialError{file: file, err: err}
	case entry != nil:
		return entry.authenticator(), nil
	case missing != "":
		return authn.Anonymous, nil
	}
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, target)
	if err != nil {
		return nil, &credentialError{file: file, err: err}
	}
	return auth, nil
}

// A Login is what a registry is shown, so that it knows who asks. The zero
// value is nobody's.
type Login struct {
	Username, Password string
	// IdentityToken is shown instead of a password to the server that hands
	// out tokens.
	IdentityToken string
	// RegistryToken is a token to show as it is.
	RegistryToken string
}

// FindLogin is the login that a Client uses at address: HOST, or HOST/PATH of a
// repository. Errors are of stored credentials that cannot be read, and name
// the file.
func FindLogin(ctx context.Context, address string) (Login, error) {
	target, err := resource(address)
	if err != nil {
		return Login{}, fmt.Errorf("finding the login for %s: %w", address, err)
	}
	auth, err := keychain{}.ResolveContext(ctx, target)
	if err != nil {
		return Login{}, fmt.Errorf("finding the login for %s: %w", address, err)
	}
	found, err := authn.Authorization(ctx, auth)
	if err != nil {
		return Login{}, fmt.Errorf("finding the login for %s: %w", address, err)
	}
	return Login{Username: found.Username, Password: found.Password, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken}, nil
}

// resource is the registry or repository of an address.
func resource(address string) (authn.Resource, error) {
	if strings.Contains(address, "/") {
		return name.NewRepository(address)
	}
	return name.NewRegistry(address)
}

// A credentialError is a failure to read stored credentials: a docker
// configuration that does not parse, a credential helper that is missing.
type credentialError struct {
	file string
	err  error
}

func (e *credentialError) Error() string {
	return fmt.Sprintf("%s: %v; mend the file or the credential helper that it names", e.file, e.err)
}

func (e *credentialError) Unwrap() error { return e.err }

func isCredentialError(err error) bool {
	var credential *credentialError
	return errors.As(err, &credential)
}

// authFile is the file that authn.DefaultKeychain reads, or "". The order is
// the one that its source documents: docker's configuration, then
// REGISTRY_AUTH_FILE, then podman's two files.
func authFile() string {
	home, homeErr := os.UserHomeDir()
	dockerConfig := os.Getenv("DOCKER_CONFIG")
	inHome := filepath.Join(home, ".docker", "config.json")
	if homeErr == nil && isFile(inHome) && dockerConfig == "" {
		return inHome
	}
	if dockerConfig != "" {
		// A file in the home folder makes the library load DOCKER_CONFIG even
		// if it holds no file.
		file := filepath.Join(dockerConfig, "config.json")
		if isFile(file) || homeErr == nil && isFile(inHome) {
			return file
		}
	}
	if file := os.Getenv("REGISTRY_AUTH_FILE"); isFile(file) {
		return file
	}
	if runtimeDir := os.Getenv("XDG_RUNTIME_DIR"); runtimeDir != "" {
		if file := filepath.Join(runtimeDir, "containers", "auth.json"); isFile(file) {
			return file
		}
	}
	configDir := os.Getenv("XDG_CONFIG_HOME")
	if configDir == "" && homeErr == nil {
		configDir = filepath.Join(home, ".config")
	}
	if file := filepath.Join(configDir, "containers", "auth.json"); configDir != "" && isFile(file) {
		return file
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// credentialSource tells people where the credentials for repo come from. It
// is asked only after a registry refused, so it reads the file again.
func credentialSource(repo name.Repository) string {
	entry, err := fromAuthFile(repo)
	if err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	if entry != nil {
		return entry.source
	}
	file := authFile()
	if file == "" {
		return "none (anonymous; there is no docker configuration file)"
	}
	missing := missingStore(file)
	look := fromPaths
	if missing != "" {
		look = lookUpAuthFile
	}
	if entry, err := look(file, repo); err == nil && entry != nil && entry.auth != (authn.AuthConfig{}) {
		return entry.source
	}
	if missing != "" {
		return fmt.Sprintf("none (anonymous; %s names docker-credential-%s for all registries, as credsStore, and no such program is installed: install it, or take credsStore out and log in again)", file, missing)
	}
	auth, err := authn.DefaultKeychain.Resolve(repo)
	if err != nil {
		return fmt.Sprintf("unknown (%s: %v)", file, err)
	}
	if auth == authn.Anonymous {
		return fmt.Sprintf("none (anonymous; %s has no entry for %s)", file, repo.RegistryStr())
	}
	if helper := credentialHelper(file, repo); helper != "" {
		return fmt.Sprintf("docker-credential-%s (named in %s)", helper, file)
	}
	return file
}

// dockerHelpers are the credential helpers that a docker configuration names.
type dockerHelpers struct {
	// CredHelpers are for one registry each, CredsStore is for all others.
	CredHelpers map[string]string `json:"credHelpers"`
	CredsStore  string            `json:"credsStore"`
}

// helpersIn reads what file names; nothing if it cannot be read, which is
// reported where credentials are looked up.
func helpersIn(file string) dockerHelpers {
	var helpers dockerHelpers
	if content, err := os.ReadFile(file); err != nil || json.Unmarshal(content, &helpers) != nil {
		return dockerHelpers{}
	}
	return helpers
}

// credentialHelper is the helper that file names for repo's credentials, or
// "" where they are in the file itself.
func credentialHelper(file string, repo name.Repository) string {
	helpers := helpersIn(file)
	host := repo.RegistryStr()
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey
	}
	return cmp.Or(helpers.CredHelpers[repo.String()], helpers.CredHelpers[host], helpers.CredsStore)
}

// missingStore is the helper that file names for all registries, if no such
// program is installed; else "". Without it there are the credentials that are
// in the file, and those of helpers that it names for one registry; nobody's are
// enough for many registries, the embedded one among them.
func missingStore(file string) string {
	store := helpersIn(file).CredsStore
	if store == "" {
		return ""
	}
	if _, err := exec.LookPath("docker-credential-" + store); err == nil {
		return ""
	}
	return store
}
