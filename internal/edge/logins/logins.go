// Package logins finds the stored login to show a registry, for the edges that
// speak to registries.
//
// Logins are those of the file that REGISTRY_AUTH_FILE names, if it has some for
// the repository; else those of docker's configuration (DOCKER_CONFIG,
// ~/.docker/config.json), its credential helpers included; where there is no
// docker configuration, those of podman's auth.json.
package logins

import (
	"cmp"
	"context"
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
	"github.com/google/go-containerregistry/pkg/name"
)

// fileVariable names a file of credentials that comes before docker's
// configuration, as it does for podman, buildah and skopeo.
const fileVariable = "REGISTRY_AUTH_FILE"

// dockerHub is the key that docker stores the login for Docker Hub under.
const dockerHub = "https://" + name.DefaultRegistry + "/v1/"

// Find is the login for address: HOST, or HOST/PATH of a repository; the zero
// value is nobody's. It does not name the address. Errors are of stored
// credentials that cannot be read, and name the file.
func Find(_ context.Context, address string) (types.AuthConfig, error) {
	there, err := find(address)
	return there.login, err
}

// Source tells people where the login for address comes from, or why there is
// none.
func Source(address string) string {
	there, err := find(address)
	if err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return there.source
}

type stored struct {
	login  types.AuthConfig
	source string
}

func find(address string) (stored, error) {
	keys, host, err := keysOf(address)
	if err != nil {
		return stored{}, fmt.Errorf("finding the login for %s: %w", address, err)
	}
	broken := func(file string, err error) error {
		return fmt.Errorf("reading the credentials for %s: %s: %w; mend the file or the credential helper that it names", host, file, err)
	}
	if file := os.Getenv(fileVariable); file != "" {
		there, err := findIn(file, keys, host)
		if err != nil {
			return stored{}, broken(file+" ("+fileVariable+")", err)
		}
		if there.login != (types.AuthConfig{}) {
			return there, nil
		}
	}
	file := configuration()
	there, err := findIn(file, keys, host)
	if err != nil {
		return stored{}, broken(file, err)
	}
	return there, nil
}

// findIn looks into a file of docker's format, which podman's
// (containers-auth.json(5)) is part of, and asks the credential helpers that it
// names; "" is no file. Docker knows registries alone: the start of a
// repository's path comes first here.
//
// A helper for all registries that is not installed is nobody's: without it there
// are the logins that are in the file, and those of helpers that it names for
// one registry; nobody's is enough for many, the embedded registry among them.
func findIn(file string, keys []string, host string) (stored, error) {
	content, err := load(file)
	if err != nil {
		return stored{}, err
	}
	// Docker would take the login for any path of a registry for that of the
	// registry.
	maps.DeleteFunc(content.AuthConfigs, func(key string, _ types.AuthConfig) bool {
		return strings.Contains(key, "/") && !strings.Contains(key, "://") && !slices.Contains(keys, key)
	})
	missing := ""
	if store := content.CredentialsStore; store != "" {
		if _, err := exec.LookPath("docker-credential-" + store); err != nil {
			missing, content.CredentialsStore = store, ""
		}
	}
	for _, key := range keys {
		helper := content.CredentialHelpers[key]
		store := credentials.NewFileStore(content)
		switch {
		case key == keys[len(keys)-1]:
			store, helper = content.GetCredentialsStore(key), cmp.Or(helper, content.CredentialsStore)
		case helper != "":
			store = credentials.NewNativeStore(content, helper)
		}
		login, err := store.Get(key)
		if err != nil {
			return stored{}, err
		}
		login.ServerAddress = ""
		switch {
		case login == (types.AuthConfig{}):
		case helper != "":
			return stored{login, fmt.Sprintf("docker-credential-%s (named in %s)", helper, file)}, nil
		default:
			return stored{login, file}, nil
		}
	}
	return stored{source: "none (anonymous; " + whyNone(file, missing, host) + ")"}, nil
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
func whyNone(file, missing, host string) string {
	switch {
	case file == "":
		return "there is no docker configuration file"
	case missing != "":
		return fmt.Sprintf("%s names docker-credential-%s for all registries, as credsStore, and no such program is installed: install it, or take credsStore out and log in again", file, missing)
	}
	return fmt.Sprintf("%s has no entry for %s", file, host)
}

// keysOf are the keys that may hold the credentials for address, the most
// specific first, and last the one that docker has for its registry, and that
// registry. Docker Hub goes by three names.
func keysOf(address string) (keys []string, host string, err error) {
	var registry name.Registry
	if strings.Contains(address, "/") {
		var repository name.Repository
		repository, err = name.NewRepository(address)
		registry, address = repository.Registry, repository.Name()
	} else {
		registry, err = name.NewRegistry(address)
		address = registry.Name()
	}
	if err != nil {
		return nil, "", err
	}
	host = registry.RegistryStr()
	for address != host {
		keys = append(keys, address)
		address = address[:strings.LastIndexByte(address, '/')]
	}
	keys = append(keys, host)
	if host == name.DefaultRegistry {
		for _, key := range keys {
			keys = append(keys, "docker.io"+strings.TrimPrefix(key, host))
		}
		keys = append(keys, dockerHub)
	}
	return keys, host, nil
}

// configuration is docker's configuration file, or podman's where there is none;
// "" without either.
func configuration() string {
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
