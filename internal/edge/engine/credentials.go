package engine

import (
	"context"
	"fmt"
	"os"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	clicredentials "github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker/api/types/registry"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/util/progress/progresswriter"
)

// hubKey is the key of Docker Hub's entry in docker's configuration file.
const hubKey = "https://index.docker.io/v1/"

// credentials are the user's logins to registries, from docker's
// configuration file and its credential stores.
type credentials struct {
	config *configfile.ConfigFile
	// lookup caches what the credential stores answer, for all sessions.
	lookup authprovider.AuthConfigProvider
}

// dockerConfigDir is the folder of docker's configuration. The docker
// library's own function reads the environment only once in a process.
func dockerConfigDir() string {
	if dir := os.Getenv(config.EnvOverrideConfigDir); dir != "" {
		return dir
	}
	return config.Dir()
}

// loadCredentials reads docker's configuration. No configuration file is no
// error: there are no logins then.
func loadCredentials() (*credentials, error) {
	file, err := config.Load(dockerConfigDir())
	if err != nil {
		return nil, fmt.Errorf("reading docker's configuration: %w", err)
	}
	if !file.ContainsAuth() {
		file.CredentialsStore = clicredentials.DetectDefaultStore(file.CredentialsStore)
	}
	return &credentials{config: file, lookup: authprovider.LoadAuthConfig(file)}, nil
}

// session answers an engine that asks for logins during one build. Log gets
// the engine's requests as progress.
func (c *credentials) session(log progresswriter.Logger) session.Attachable {
	provider := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: c.lookup})
	if p, ok := provider.(interface{ SetLogger(progresswriter.Logger) }); ok {
		p.SetLogger(log)
	}
	return provider
}

// header is the Engine API's authentication header for a push to ref. Without
// a login it is that of an anonymous user.
func (c *credentials) header(ctx context.Context, ref reference.Named) (string, error) {
	host := reference.Domain(ref)
	key := host
	if host == "docker.io" {
		key = hubKey
	}
	login, err := c.lookup(ctx, key, nil, nil)
	if err != nil {
		return "", fmt.Errorf("looking up the login to %s: %w", host, err)
	}
	return registry.EncodeAuthConfig(engineLogin(login))
}

// engineLogin is the login in the Engine API's type.
func engineLogin(a types.AuthConfig) registry.AuthConfig {
	return registry.AuthConfig{
		Username:      a.Username,
		Password:      a.Password,
		Auth:          a.Auth,
		ServerAddress: a.ServerAddress,
		IdentityToken: a.IdentityToken,
		RegistryToken: a.RegistryToken,
	}
}
