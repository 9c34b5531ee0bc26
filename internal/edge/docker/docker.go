// Package docker is the edge to Docker engines: where one listens and how to
// get there, what registries it may be shown as, and containers that run in it.
// Images are built by the package engine.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	dockerclient "github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

var _ containers.Host = (*Engine)(nil)

// An Engine runs containers with a Docker engine.
type Engine struct {
	api         *dockerclient.Client
	name        string
	credentials *Credentials
	// bind is the address that ports are published at, host where they are
	// reached from here.
	bind, host string
}

// Config says which engine to reach.
type Config struct {
	// Context is the docker context's name; empty: DOCKER_HOST's engine or the
	// current context's.
	Context string
	// Logins finds the logins to registries that the engine pulls from; nil
	// finds none.
	Logins Logins
}

// reachTimeout is how long an engine may take to answer; docker contexts over
// ssh need seconds.
const reachTimeout = 20 * time.Second

// Open connects to a Docker engine. The caller closes what it returns.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	config, err := LoadConfig()
	if err != nil {
		return nil, err
	}
	endpoint, err := Resolve(cfg.Context, config)
	if err != nil {
		return nil, err
	}
	bind, host, err := endpoint.publishing()
	if err != nil {
		return nil, err
	}
	api, err := endpoint.Client()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	reach, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	version, err := api.ServerVersion(reach)
	if err != nil {
		return nil, errors.Join(
			fmt.Errorf("%s does not answer, and containers run nowhere else: %w; start it, or point DOCKER_HOST or the docker context at one that runs", endpoint, err),
			api.Close())
	}
	return &Engine{api: api, name: "Docker engine " + version.Version, credentials: NewCredentials(cfg.Logins), bind: bind, host: host}, nil
}

// publishing is the address to publish ports at, and the host to reach them.
func (e Endpoint) publishing() (bind, host string, err error) {
	address, err := url.Parse(e.host)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", e, err)
	}
	switch address.Scheme {
	case "unix", "npipe":
		return "127.0.0.1", "127.0.0.1", nil
	case "tcp", "http", "https":
		if ip := net.ParseIP(address.Hostname()); address.Hostname() == "localhost" || ip.IsLoopback() {
			return "127.0.0.1", "127.0.0.1", nil
		}
		return "0.0.0.0", address.Hostname(), nil
	}
	return "", "", fmt.Errorf("%s: the ports of its containers cannot be reached through %s: choose an engine at unix:// or tcp://", e, address.Scheme)
}

// Close ends the connection.
func (c *Engine) Close() error { return c.api.Close() }

// Name implements containers.Engine.
func (c *Engine) Name() string { return c.name }

// Image implements containers.Engine.
func (c *Engine) Image(ctx context.Context, references ...string) (containers.Image, error) {
	if len(references) == 0 {
		return containers.Image{}, errors.New("no image reference")
	}
	for _, ref := range references {
		found, err := c.inspectImage(ctx, ref)
		if err == nil || !errdefs.IsNotFound(err) {
			return found, err
		}
	}
	ref := references[len(references)-1]
	if err := c.pull(ctx, ref); err != nil {
		return containers.Image{}, fmt.Errorf("%s has none of %s, and pulling %s: %w", c.name, strings.Join(references, ", "), ref, err)
	}
	return c.inspectImage(ctx, ref)
}

func (c *Engine) inspectImage(ctx context.Context, ref string) (containers.Image, error) {
	found, err := c.api.ImageInspect(ctx, ref)
	if err != nil {
		return containers.Image{}, fmt.Errorf("inspecting image %s: %w", ref, err)
	}
	image := containers.Image{Reference: ref, ID: found.ID, Platform: strings.TrimRight(strings.Join([]string{found.Os, found.Architecture, found.Variant}, "/"), "/")}
	if found.Config != nil {
		image.User, image.Labels = found.Config.User, found.Config.Labels
	}
	return image, nil
}

func (c *Engine) pull(ctx context.Context, ref string) error {
	n, err := Named(ref)
	if err != nil {
		return err
	}
	auth, err := c.credentials.Header(ctx, n)
	if err != nil {
		return err
	}
	messages, err := c.api.ImagePull(ctx, n.String(), image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer messages.Close()
	// Errors of the pull are in the stream.
	return jsonmessage.DisplayJSONMessagesStream(messages, io.Discard, 0, false, nil)
}
