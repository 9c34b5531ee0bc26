package docker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/connhelper"
	dockercontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/store"
	dockerclient "github.com/docker/docker/client"
)

// defaultContext is the docker context that means DOCKER_HOST and its
// companions, or the local engine where they are not set.
const defaultContext = "default"

// An Endpoint is where a Docker engine listens, and how to get there.
type Endpoint struct {
	// context is the docker context's name.
	context string
	host    string
	tls     *dockercontext.TLSData
	// skipVerify takes any certificate of the engine.
	skipVerify bool
}

// String names the endpoint for messages.
func (e Endpoint) String() string {
	if e.context == defaultContext {
		return "Docker engine at " + e.host
	}
	return fmt.Sprintf("Docker engine at %s (docker context %q)", e.host, e.context)
}

// configDir is the folder of docker's configuration. The docker
// library's own function reads the environment only once in a process.
func configDir() string {
	if dir := os.Getenv(config.EnvOverrideConfigDir); dir != "" {
		return dir
	}
	return config.Dir()
}

// LoadConfig reads docker's configuration, which names the context that
// is in use. None is no error.
func LoadConfig() (*configfile.ConfigFile, error) {
	file, err := config.Load(configDir())
	if err != nil {
		return nil, fmt.Errorf("reading docker's configuration: %w", err)
	}
	return file, nil
}

// Resolve finds the engine as the docker command does: the named
// context, else DOCKER_HOST, else DOCKER_CONTEXT, else the current context of
// docker's configuration file, else the local engine.
func Resolve(name string, config *configfile.ConfigFile) (Endpoint, error) {
	if name == "" {
		name = currentContext(config)
	}
	if name == defaultContext {
		return environmentEndpoint()
	}
	dir := filepath.Join(configDir(), "contexts")
	contexts := store.New(dir, store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter("docker", func() any { return &dockercontext.EndpointMetaBase{} }),
	))
	meta, err := contexts.GetMetadata(name)
	if err != nil {
		return Endpoint{}, fmt.Errorf("reading docker context %q: %w; `docker context ls` lists those there are", name, err)
	}
	base, ok := meta.Endpoints["docker"].(dockercontext.EndpointMetaBase)
	if !ok || base.Host == "" {
		return Endpoint{}, fmt.Errorf("docker context %q names no Docker engine", name)
	}
	tlsData, err := dockercontext.LoadTLSData(contexts, name, "docker")
	if err != nil {
		return Endpoint{}, fmt.Errorf("reading docker context %q: %w", name, err)
	}
	return Endpoint{context: name, host: base.Host, tls: tlsData, skipVerify: base.SkipTLSVerify}, nil
}

func currentContext(config *configfile.ConfigFile) string {
	if os.Getenv("DOCKER_HOST") != "" {
		return defaultContext
	}
	if name := os.Getenv("DOCKER_CONTEXT"); name != "" {
		return name
	}
	if config.CurrentContext != "" {
		return config.CurrentContext
	}
	return defaultContext
}

// environmentEndpoint reads DOCKER_HOST, DOCKER_TLS, DOCKER_TLS_VERIFY and
// DOCKER_CERT_PATH with the docker command's meaning.
func environmentEndpoint() (Endpoint, error) {
	e := Endpoint{context: defaultContext, host: os.Getenv("DOCKER_HOST")}
	if e.host == "" {
		e.host = dockerclient.DefaultDockerHost
	}
	verify := os.Getenv("DOCKER_TLS_VERIFY") != ""
	if !verify && os.Getenv("DOCKER_TLS") == "" {
		return e, nil
	}
	e.skipVerify = !verify
	dir := os.Getenv("DOCKER_CERT_PATH")
	if dir == "" {
		dir = configDir()
	}
	var err error
	e.tls, err = dockercontext.TLSDataFromFiles(existing(dir, "ca.pem"), existing(dir, "cert.pem"), existing(dir, "key.pem"))
	if err != nil {
		return Endpoint{}, fmt.Errorf("reading the Docker engine's certificates in %s: %w", dir, err)
	}
	return e, nil
}

// existing is the file's path, or "" where there is no such file: each of
// docker's TLS files may be missing.
func existing(dir, file string) string {
	path := filepath.Join(dir, file)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return path
}

// Client makes an Engine API client for the endpoint. It does not connect yet.
func (e Endpoint) Client() (*dockerclient.Client, error) {
	opts := []dockerclient.Opt{dockerclient.WithAPIVersionNegotiation(), dockerclient.WithVersionFromEnv()}
	remote, err := connhelper.GetConnectionHelper(e.host)
	switch {
	case err != nil:
		return nil, err
	case remote != nil: // ssh://: the connection is a docker command over there
		opts = append(opts,
			dockerclient.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: remote.Dialer}}),
			dockerclient.WithHost(remote.Host),
			dockerclient.WithDialContext(remote.Dialer))
	default:
		config, err := e.tlsConfig()
		if err != nil {
			return nil, err
		}
		if config != nil {
			opts = append(opts, dockerclient.WithHTTPClient(&http.Client{
				Transport:     &http.Transport{TLSClientConfig: config},
				CheckRedirect: dockerclient.CheckRedirect,
			}))
		}
		opts = append(opts, dockerclient.WithHost(e.host))
	}
	return dockerclient.NewClientWithOpts(opts...)
}

// tlsConfig is nil where the endpoint speaks no TLS. Sockets never do.
func (e Endpoint) tlsConfig() (*tls.Config, error) {
	if !strings.HasPrefix(e.host, "tcp://") && !strings.HasPrefix(e.host, "https://") {
		return nil, nil
	}
	if e.tls == nil && !e.skipVerify {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: e.skipVerify}
	if e.tls == nil {
		return config, nil
	}
	if e.tls.CA != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(e.tls.CA) {
			return nil, errors.New("its ca.pem holds no certificate")
		}
	}
	if e.tls.Cert != nil && e.tls.Key != nil {
		pair, err := tls.X509KeyPair(e.tls.Cert, e.tls.Key)
		if err != nil {
			return nil, fmt.Errorf("its cert.pem and key.pem: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Local tells whether the endpoint is a socket of this machine.
func (e Endpoint) Local() bool {
	return strings.HasPrefix(e.host, "unix://") || strings.HasPrefix(e.host, "npipe://")
}
