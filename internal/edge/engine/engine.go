// Package engine builds images with BuildKit, wherever one runs: inside a
// Docker engine, as a buildkitd of its own, or embedded in this process.
//
// One client drives all three; what differs is where an engine keeps the
// images that it builds, and that is the imageStore.
package engine

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// Config says which engine to open and how it reports.
type Config struct {
	// Builder chooses the engine:
	//
	//	auto                  Docker's engine if it answers, else embedded; so does ""
	//	docker, docker://     the engine of DOCKER_HOST or of the current docker context
	//	docker://CONTEXT      the engine of this docker context
	//	unix:///PATH          a buildkitd at a socket
	//	tcp://HOST:PORT       a buildkitd on the network, without TLS
	//	embedded              BuildKit in this process (Linux, root, runc)
	Builder string
	// StateDir is the folder of the embedded engine: its cache and its
	// snapshots. Other engines do not use it.
	StateDir string
	// Progress says where builds report and in which form.
	Progress Progress
	// InsecureRegistries are the registries (HOST or HOST:PORT) that are
	// spoken to over plain HTTP or with certificates that nobody vouches
	// for. Loopback addresses always are. A Docker engine has a setting of
	// its own for this and is not told.
	InsecureRegistries []string
	// Logins finds the logins to registries that the engine pushes to and
	// pulls from; nil finds none.
	Logins docker.Logins
	// Roots are the authorities that registries' certificates are checked
	// against; nil: the system's. Engines in other processes have their own.
	Roots *x509.CertPool
	// Log takes the embedded engine's log; nil discards it.
	Log io.Writer
}

const (
	// autoTimeout is how long auto waits for a Docker engine before it takes
	// the embedded one.
	autoTimeout = 3 * time.Second
	// reachTimeout is how long an engine asked for by name may take to
	// answer; docker contexts over ssh need seconds.
	reachTimeout = 20 * time.Second
)

// An engine is an open connection to one BuildKit.
type engine struct {
	client *client.Client
	store  imageStore
	caps   build.Capabilities
	trust  trustAdvice
	// stop ends the connection, and the engine where it is ours.
	stop func() error
}

// Open connects to the engine that cfg chooses, or starts it. An engine that
// cannot be reached is an error that names its address and the next step.
// The caller closes the Builder; builds must have ended by then. On a terminal
// progress ends with Close, so print results after it.
func Open(ctx context.Context, cfg Config) (build.Builder, error) {
	choice, err := parseChoice(cfg.Builder)
	if err != nil {
		return nil, err
	}
	credentials := newCredentials(cfg.Logins, cfg.Roots)
	display, err := newDisplay(cfg.Progress)
	if err != nil {
		return nil, err
	}
	opener := opener{cfg: cfg, credentials: credentials}
	eng, err := opener.open(ctx, choice)
	if err != nil {
		return nil, err
	}
	return &builder{engine: eng, credentials: credentials, display: display, concurrent: newConcurrentBuilds(), retry: defaultPushRetry()}, nil
}

// A choice is a parsed Config.Builder.
type choice struct {
	kind string // auto, docker, buildkitd or embedded
	// address is a docker context's name (docker) or an address (buildkitd).
	address string
}

// parseChoice reads what Config.Builder documents.
func parseChoice(s string) (choice, error) {
	switch s {
	case "", "auto":
		return choice{kind: "auto"}, nil
	case "docker", "embedded":
		return choice{kind: s}, nil
	}
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case found && scheme == "docker":
		return choice{kind: "docker", address: rest}, nil
	case found && scheme == "unix":
		if !strings.HasPrefix(rest, "/") {
			return choice{}, fmt.Errorf("builder %q: the socket's path must be absolute, as in unix:///run/buildkit/buildkitd.sock", s)
		}
		return choice{kind: "buildkitd", address: s}, nil
	case found && scheme == "tcp":
		if !strings.Contains(rest, ":") {
			return choice{}, fmt.Errorf("builder %q: the port is missing, as in tcp://127.0.0.1:1234", s)
		}
		return choice{kind: "buildkitd", address: s}, nil
	}
	return choice{}, fmt.Errorf("builder %q is unknown: choose auto, docker, docker://CONTEXT, unix:///PATH or tcp://HOST:PORT (a buildkitd), or embedded", s)
}

// DockerContext is the docker context of the Docker engine that a Config.Builder
// chooses, empty for the current one. Other engines build images and run no
// containers: they are an error that names one that does.
func DockerContext(builder string) (string, error) {
	choice, err := parseChoice(builder)
	if err != nil {
		return "", err
	}
	if choice.kind != "auto" && choice.kind != "docker" {
		return "", fmt.Errorf("builder %q builds images and runs no containers: choose a Docker engine, with --builder docker:// or docker://CONTEXT", builder)
	}
	return choice.address, nil
}

// An opener opens engines as cfg says.
type opener struct {
	cfg         Config
	credentials *credentials
}

func (o opener) open(ctx context.Context, c choice) (*engine, error) {
	switch c.kind {
	case "buildkitd":
		return openBuildkitd(ctx, c.address, o.cfg)
	case "embedded":
		return openEmbedded(ctx, o.cfg)
	}
	config, err := docker.LoadConfig()
	if err != nil {
		return nil, err
	}
	if c.kind == "docker" {
		return openDocker(ctx, c.address, config, o.credentials, reachTimeout)
	}
	eng, dockerErr := openDocker(ctx, "", config, o.credentials, autoTimeout)
	if dockerErr == nil {
		return eng, nil
	}
	if ctx.Err() != nil {
		return nil, dockerErr
	}
	eng, embeddedErr := openEmbedded(ctx, o.cfg)
	if embeddedErr == nil {
		return eng, nil
	}
	return nil, fmt.Errorf("no build engine: %w", errors.Join(
		dockerErr,
		embeddedErr,
		errors.New("start a Docker engine, make the embedded one possible, or name a buildkitd (unix:///PATH or tcp://HOST:PORT)"),
	))
}

// openBuildkitd connects to the buildkitd at address.
func openBuildkitd(ctx context.Context, address string, cfg Config) (*engine, error) {
	unreachable := func(err error) error {
		return fmt.Errorf("buildkitd at %s does not answer: %w; check the address and that buildkitd is running", address, err)
	}
	c, err := client.New(ctx, address)
	if err != nil {
		return nil, unreachable(err)
	}
	worker, err := firstWorker(ctx, c, reachTimeout)
	if err != nil {
		return nil, errors.Join(unreachable(err), c.Close())
	}
	store := openOCIStore(cfg)
	return &engine{
		client: c,
		store:  store,
		caps: build.Capabilities{
			Engine:        "buildkitd" + knownVersion(worker.BuildkitVersion.Version) + " at " + address,
			Platform:      platformOf(worker),
			MultiPlatform: true,
		},
		trust: buildkitdTrust,
		stop:  func() error { return errors.Join(store.close(), c.Close()) },
	}, nil
}

// firstWorker asks a BuildKit for its default worker, which is the first one.
func firstWorker(ctx context.Context, c *client.Client, timeout time.Duration) (*client.WorkerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return nil, err
	}
	if len(workers) == 0 {
		return nil, errors.New("it has no worker to build with")
	}
	return workers[0], nil
}

// knownVersion is the version with a space before it, or nothing where a
// BuildKit does not know its own: those not built by its release process say
// v0.0.0+unknown.
func knownVersion(version string) string {
	if version == "" || strings.HasPrefix(version, "v0.0.0") {
		return ""
	}
	return " " + version
}
