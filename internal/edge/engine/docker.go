package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	dockerclient "github.com/docker/docker/client"
	"github.com/moby/buildkit/client"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// snapshotterLabel is a label of BuildKit's worker that a Docker engine sets
// only where it keeps images in containerd; with a graph driver it is absent.
const snapshotterLabel = "org.mobyproject.buildkit.worker.snapshotter"

// openDocker connects to the BuildKit inside a Docker engine: that of the
// named docker context, or of DOCKER_HOST and the current context where name
// is empty.
func openDocker(ctx context.Context, name string, config *configfile.ConfigFile, creds *credentials, timeout time.Duration) (*engine, error) {
	endpoint, err := docker.Resolve(name, config)
	if err != nil {
		return nil, err
	}
	api, err := endpoint.Client()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	eng, err := dockerEngine(ctx, api, creds, timeout)
	if err != nil {
		return nil, errors.Join(
			fmt.Errorf("%s does not answer: %w; start it, or point DOCKER_HOST or the docker context at one that runs", endpoint, err),
			api.Close())
	}
	return eng, nil
}

func dockerEngine(ctx context.Context, api *dockerclient.Client, creds *credentials, timeout time.Duration) (*engine, error) {
	reach, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	version, err := api.ServerVersion(reach)
	if err != nil {
		return nil, err
	}
	c, err := dialBuildKit(ctx, api)
	if err != nil {
		return nil, err
	}
	worker, err := firstWorker(ctx, c, timeout)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reaching its BuildKit: %w", err), c.Close())
	}
	eng := &engine{
		client: c,
		trust:  dockerTrust,
		stop:   func() error { return errors.Join(c.Close(), api.Close()) },
	}
	if worker.Labels[snapshotterLabel] != "" {
		eng.caps = build.Capabilities{
			Engine:        fmt.Sprintf("Docker engine %s (containerd store)", version.Version),
			Platform:      platformOf(worker),
			MultiPlatform: true,
		}
		eng.store = &containerdStore{dockerImages: dockerImages{api: api}}
		return eng, nil
	}
	eng.caps = build.Capabilities{
		Engine:   fmt.Sprintf("Docker engine %s (graph driver store)", version.Version),
		Platform: platformOf(worker),
	}
	eng.store = &graphDriverStore{
		dockerImages: dockerImages{api: api},
		engine:       eng.caps.Engine,
		native:       worker.Platforms,
		credentials:  creds,
	}
	return eng, nil
}

// dialBuildKit makes a BuildKit client whose connections are hijacked requests
// to the Engine API: /grpc for control, /session for what the engine asks of
// us. gRPC cancels the context of a dial as soon as it has the connection,
// but a hijacked connection ends with the context it was dialled with: hence
// WithoutCancel.
func dialBuildKit(ctx context.Context, api *dockerclient.Client) (*client.Client, error) {
	return client.New(ctx, "",
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return api.DialHijack(context.WithoutCancel(ctx), "/grpc", "h2c", nil)
		}),
		client.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return api.DialHijack(context.WithoutCancel(ctx), "/session", proto, meta)
		}),
	)
}
