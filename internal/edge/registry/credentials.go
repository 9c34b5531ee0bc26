package registry

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// authFileVariable names a file of credentials that comes before docker's
// configuration, as it does for podman, buildah and skopeo.
const authFileVariable = "REGISTRY_AUTH_FILE"

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
func FindLogin(address string) (Login, error) {
	target, err := resource(address)
	if err != nil {
		return Login{}, fmt.Errorf("finding the login for %s: %w", address, err)
	}
	found, err := findLogin(target)
	if err != nil {
		return Login{}, fmt.Errorf("finding the login for %s: %w", address, err)
	}
	login := found.login
	return Login{Username: login.Username, Password: login.Password, IdentityToken: login.IdentityToken, RegistryToken: login.RegistryToken}, nil
}

// resource is the registry or repository of an address.
func resource(address string) (authn.Resource, error) {
	if strings.Contains(address, "/") {
		return name.NewRepository(address)
	}
	return name.NewRegistry(address)
}

// A storedLogin is a login, nobody's if there is none, and where it comes from, for
// people.
type storedLogin struct {
	login  authn.AuthConfig
	source string
}

// findLogin looks for the login of a registry or repository in the file that
// REGISTRY_AUTH_FILE names, then in docker's configuration or podman's file.
func findLogin(target authn.Resource) (storedLogin, error) {
	if file := os.Getenv(authFileVariable); file != "" {
		there, err := findLoginIn(file, target)
		if err != nil {
			return storedLogin{}, &credentialError{file: file + " (" + authFileVariable + ")", err: err}
		}
		if there.login != (authn.AuthConfig{}) {
			return there, nil
		}
	}
	file := credentialFile()
	there, err := findLoginIn(file, target)
	if err != nil {
		return storedLogin{}, &credentialError{file: file, err: err}
	}
	return there, nil
}

// findLoginIn looks into a file of docker's format, which podman's
// (containers-auth.json(5)) is part of, and asks the credential helpers that it
// names; "" is no file. Docker knows registries alone: the start of a
// repository's path comes first here.
//
// A helper for all registries that is not installed is nobody's: without it there
// are the logins that are in the file, and those of helpers that it names for
// one registry; nobody's is enough for many, the embedded registry among them.
func findLoginIn(file string, target authn.Resource) (storedLogin, error) {
	stored, err := load(file)
	if err != nil {
		return storedLogin{}, err
	}
	keys := authKeys(target)
	// Docker would take the login for any path of a registry for that of the
	// registry.
	maps.DeleteFunc(stored.AuthConfigs, func(key string, _ types.AuthConfig) bool {
		return strings.Contains(key, "/") && !strings.Contains(key, "://") && !slices.Contains(keys, key)
	})
	missing := ""
	if store := stored.CredentialsStore; store != "" {
		if _, err := exec.LookPath("docker-credential-" + store); err != nil {
			missing, stored.CredentialsStore = store, ""
		}
	}
	for _, key := range keys {
		helper := stored.CredentialHelpers[key]
		store := credentials.NewFileStore(stored)
		switch {
		case key == keys[len(keys)-1]:
			store, helper = stored.GetCredentialsStore(key), cmp.Or(helper, stored.CredentialsStore)
		case helper != "":
			store = credentials.NewNativeStore(stored, helper)
		}
		got, err := store.Get(key)
		if err != nil {
			return storedLogin{}, err
		}
		login := authn.AuthConfig{Username: got.Username, Password: got.Password, IdentityToken: got.IdentityToken, RegistryToken: got.RegistryToken}
		switch {
		case login == (authn.AuthConfig{}):
		case helper != "":
			return storedLogin{login, fmt.Sprintf("docker-credential-%s (named in %s)", helper, file)}, nil
		default:
			return storedLogin{login, file}, nil
		}
	}
	return storedLogin{source: "none (anonymous; " + whyNone(file, missing, target) + ")"}, nil
}

// load reads a file of docker's format.
func load(file string) (*configfile.ConfigFile, error) {
	if file == "" {
		return configfile.New(""), nil
	}
	content, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return config.LoadFromReader(content)
}

// whyNone tells people why there is no login.
func whyNone(file, missing string, target authn.Resource) string {
	switch {
	case file == "":
		return "there is no docker configuration file"
	case missing != "":
		return fmt.Sprintf("%s names docker-credential-%s for all registries, as credsStore, and no such program is installed: install it, or take credsStore out and log in again", file, missing)
	}
	return fmt.Sprintf("%s has no entry for %s", file, target.RegistryStr())
}

// authKeys are the keys that may hold target's credentials, the most specific
// first, and last the one that docker has for its registry. Docker Hub goes by
// three names.
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

// credentialFile is docker's configuration file, or podman's where there is none;
// "" without either.
func credentialFile() string {
	home, _ := os.UserHomeDir()
	under := func(folder, inHome string) string {
		if folder == "" && home != "" {
			return filepath.Join(home, inHome)
		}
		return folder
	}
	for _, file := range [][2]string{
		{under(os.Getenv("DOCKER_CONFIG"), ".docker"), "config.json"},
		{os.Getenv("XDG_RUNTIME_DIR"), "containers/auth.json"},
		{under(os.Getenv("XDG_CONFIG_HOME"), ".config"), "containers/auth.json"},
	} {
		path := filepath.Join(file[0], file[1])
		if info, err := os.Stat(path); file[0] != "" && err == nil && !info.IsDir() {
			return path
		}
	}
	return ""
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

// credentialSource tells people where the credentials for repo come from. It
// is asked only after a registry refused, so it reads the file again.
func credentialSource(repo name.Repository) string {
	there, err := findLogin(repo)
	if err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return there.source
}
