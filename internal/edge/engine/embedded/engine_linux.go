package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/resolver"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// Engine is a running build engine. Close it to let go of its folder.
type Engine struct {
	client  *client.Client
	closing sync.Once
	closers closers
	closed  error
}

// Start starts an engine on cfg.Root, after clearing away what an earlier
// process that was killed has left there: its RUN processes and its mounts.
//
// It fails where [Supported] does, and where another engine, of this process or
// another, uses the folder; that error names the folder and the process.
func Start(ctx context.Context, cfg Config) (_ *Engine, err error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(cfg.Root) {
		return nil, fmt.Errorf("build state folder %q is not an absolute path", cfg.Root)
	}
	e := &Engine{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.closers.close())
		}
	}()
	root, err := e.claim(ctx, cfg.Root)
	if err != nil {
		return nil, err
	}
	e.closers.add(redirectLogs(cfg.Log))
	b := &builder{root: root, hosts: e.registries(cfg), closers: &e.closers}
	controller, err := b.controller(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the build engine on %s: %w", root, err)
	}
	if e.client, err = serve(ctx, controller, &e.closers); err != nil {
		return nil, fmt.Errorf("connecting to the build engine on %s: %w", root, err)
	}
	return e, nil
}

// Client returns the connection to the engine. It ends with the engine's Close;
// there is no need to close it.
func (e *Engine) Client() *client.Client { return e.client }

// Close stops the builds that still run, waits for their processes to end,
// brings the cache back under its bound and lets go of the folder. Calls after
// the first do nothing and return the same error.
func (e *Engine) Close() error {
	// BuildKit's own Close panics when called twice.
	e.closing.Do(func() { e.closed = e.closers.close() })
	return e.closed
}

// claim makes the folder, takes its lock and clears it of leftovers. The path
// it returns has no symbolic links, to compare with those in the mount table.
func (e *Engine) claim(ctx context.Context, folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("making build state folder %s: %w", folder, err)
	}
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return "", fmt.Errorf("finding build state folder %s: %w", folder, err)
	}
	lock, err := lockRoot(root)
	if err != nil {
		return "", err
	}
	e.closers.add(lock.release)
	if err := clearLeftovers(ctx, root); err != nil {
		return "", fmt.Errorf("clearing what a killed build left in %s: %w", root, err)
	}
	return root, nil
}

// closers undo what was opened, last first.
type closers []func() error

func (c *closers) add(undo func() error) { *c = append(*c, undo) }

func (c *closers) close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	*c = nil
	return errors.Join(errs...)
}

// redirectLogs sends the libraries' log lines to w. Most are written with no
// context at hand, to logrus's process-wide logger, so there is no way around
// changing that one; it goes back to stderr, its default, at the end.
func redirectLogs(w io.Writer) (restore func() error) {
	if w == nil {
		w = io.Discard
	}
	logrus.SetOutput(w)
	return func() error {
		logrus.SetOutput(os.Stderr)
		return nil
	}
}

// registries says how each registry is reached.
func (e *Engine) registries(cfg Config) docker.RegistryHosts {
	// BuildKit remembers hosts per process, so those of an engine closed before
	// would outlive its settings.
	resolver.DefaultPool.Clear()
	plain := make(map[string]bool, len(cfg.Insecure))
	for _, host := range cfg.Insecure {
		plain[host] = true
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: time.Minute}).DialContext,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       2 * time.Minute,
		TLSClientConfig:       &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: 5 * time.Second,
		// No HTTP/2: its flow control slows uploads, https://go.dev/issue/14077.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	e.closers.add(func() error {
		transport.CloseIdleConnections()
		return nil
	})
	return docker.ConfigureDefaultRegistries(
		docker.WithClient(&http.Client{Transport: &headTransport{transport}}),
		docker.WithPlainHTTP(func(host string) (bool, error) {
			bare, _, err := net.SplitHostPort(host)
			if plain[host] || err == nil && plain[bare] {
				return true, nil
			}
			return docker.MatchLocalhost(host)
		}),
	)
}

// serve lets a client in this process talk to the controller.
func serve(ctx context.Context, controller *control.Controller, opened *closers) (*client.Client, error) {
	server := grpc.NewServer(
		// Stop must not return while a build still writes to the stores.
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(grpcerrors.UnaryServerInterceptor),
		grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor),
		grpc.MaxRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
		grpc.MaxSendMsgSize(defaults.DefaultMaxSendMsgSize),
	)
	controller.Register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	opened.add(func() error {
		server.Stop()
		// Serve says it was stopped only if that came before it began.
		return ignore(<-served, grpc.ErrServerStopped)
	})
	c, err := client.New(ctx, "passthrough:///embedded", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return listener.DialContext(ctx)
	}))
	if err != nil {
		return nil, err
	}
	opened.add(c.Close)
	return c, nil
}
