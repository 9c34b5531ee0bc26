package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	dockerclient "github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/rtbuild/rtbuild/pkg/contract"
)

var _ contract.Engine = (*Containers)(nil)

// containerLabel marks the containers and volumes of the contract suite, for
// people who find one that a killed run left.
const containerLabel = "dev.rtbuild.contract"

// Containers runs containers with a Docker engine.
type Containers struct {
	api         *dockerclient.Client
	name        string
	credentials *credentials
	// bind is the address that ports are published at, host where they are
	// reached from here.
	bind, host string
}

// OpenContainers connects to the Docker engine that cfg.Builder chooses, and
// shows registries cfg.Logins where it pulls. Other engines build images and
// run no containers: asking for one is an error that names one that does. The
// caller closes what it returns.
func OpenContainers(ctx context.Context, cfg Config) (*Containers, error) {
	choice, err := parseChoice(cfg.Builder)
	if err != nil {
		return nil, err
	}
	if choice.kind != "auto" && choice.kind != "docker" {
		return nil, fmt.Errorf("builder %q builds images and runs no containers: choose a Docker engine, with --builder docker:// or docker://CONTEXT", cfg.Builder)
	}
	config, err := loadDockerConfig()
	if err != nil {
		return nil, err
	}
	endpoint, err := resolveEndpoint(choice.address, config)
	if err != nil {
		return nil, err
	}
	bind, host, err := endpoint.publishing()
	if err != nil {
		return nil, err
	}
	api, err := endpoint.client()
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
	return &Containers{api: api, name: "Docker engine " + version.Version, credentials: newCredentials(cfg.Logins, cfg.Roots), bind: bind, host: host}, nil
}

// publishing is the address to publish ports at, and the host to reach them.
func (e dockerEndpoint) publishing() (bind, host string, err error) {
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
func (c *Containers) Close() error { return c.api.Close() }

// Name implements contract.Engine.
func (c *Containers) Name() string { return c.name }

// Image implements contract.Engine.
func (c *Containers) Image(ctx context.Context, references ...string) (contract.Image, error) {
	if len(references) == 0 {
		return contract.Image{}, errors.New("no image reference")
	}
	for _, ref := range references {
		found, err := c.inspectImage(ctx, ref)
		if err == nil || !errdefs.IsNotFound(err) {
			return found, err
		}
	}
	ref := references[len(references)-1]
	if err := c.pull(ctx, ref); err != nil {
		return contract.Image{}, fmt.Errorf("%s has none of %s, and pulling %s: %w", c.name, strings.Join(references, ", "), ref, err)
	}
	return c.inspectImage(ctx, ref)
}

func (c *Containers) inspectImage(ctx context.Context, ref string) (contract.Image, error) {
	found, err := c.api.ImageInspect(ctx, ref)
	if err != nil {
		return contract.Image{}, fmt.Errorf("inspecting image %s: %w", ref, err)
	}
	image := contract.Image{Reference: ref, ID: found.ID}
	if found.Config != nil {
		image.User, image.Labels = found.Config.User, found.Config.Labels
	}
	return image, nil
}

func (c *Containers) pull(ctx context.Context, ref string) error {
	n, err := named(ref)
	if err != nil {
		return err
	}
	auth, err := c.credentials.header(ctx, n)
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
