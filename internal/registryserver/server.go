// Package registryserver is the embedded registry: distribution's registry in this
// process, storing in a folder that survives restarts.
//
// The folder belongs to one process at a time. A second one that starts on it
// refers to the first's server instead of running its own, so that two runs
// side by side see the same images.
package registryserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	// The filesystem storage driver registers itself.
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// identityHeader carries a server's identity in each of its answers: a
// process that finds an address in the lock file can tell the server that
// wrote it from another one that took over the port.
const identityHeader = "Rtbuild-Registry-Identity"

// drainTime is how long Close waits for requests in flight.
const drainTime = 30 * time.Second

// Config configures Start.
type Config struct {
	// Root is the folder that holds the images. It is made if missing.
	Root string
	// Address is HOST:PORT to listen on. Where the port is 0 or taken, a free
	// one of the same host is used. Empty is the folder's own address, which it
	// keeps from one run to the next.
	Address string
	// Log receives the registry's own log; nil discards it.
	Log io.Writer
}

// A Server is a running registry. It is safe for concurrent use.
type Server struct {
	address   string
	displaced string
	shared    bool

	listener net.Listener
	http     *http.Server
	unused   unusedConns
	app      *handlers.App
	lock     *lockFile
	close    func() error
}

// Start serves Config.Root until Close. If another Server serves it already,
// in this process or another, the one returned refers to that. ctx bounds the
// start only: ending it does not stop the server.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	root, err := filepath.Abs(cfg.Root)
	if err != nil {
		return nil, fmt.Errorf("starting the local registry: %w", err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("starting the local registry: %w", err)
	}
	lock, other, err := acquire(ctx, filepath.Join(root, lockName))
	if err != nil {
		return nil, fmt.Errorf("starting the local registry in %s: %w", root, err)
	}
	if lock == nil {
		return &Server{address: other, shared: true, close: func() error { return nil }}, nil
	}
	server, err := serve(ctx, root, cfg, lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the local registry in %s: %w", root, err), lock.release())
	}
	return server, nil
}

// serve starts the server of a folder whose lock this process holds.
func serve(ctx context.Context, root string, cfg Config, lock *lockFile) (*Server, error) {
	if err := removeAbandonedUploads(root); err != nil {
		return nil, err
	}
	identity := randomText()
	out := cfg.Log
	if out == nil {
		out = io.Discard
	}
	logging := withLog(context.WithoutCancel(ctx), out)
	app, err := newApp(logging, root, identity)
	if err != nil {
		return nil, err
	}
	listener, displaced, err := listen(ctx, root, cfg.Address)
	if err != nil {
		return nil, errors.Join(err, app.Shutdown())
	}
	s := &Server{
		address:   listener.Addr().String(),
		displaced: displaced,
		listener:  listener,
		app:       app,
		lock:      lock,
		http: &http.Server{
			Handler:           app,
			BaseContext:       func(net.Listener) context.Context { return logging },
			ReadHeaderTimeout: 30 * time.Second,
			ErrorLog:          log.New(out, "", log.LstdFlags),
		},
	}
	s.http.ConnState = s.unused.note
	s.close = sync.OnceValue(s.stop)
	// The kernel queues connections from here on, so whoever reads the
	// address from the lock file gets an answer.
	if err := lock.publish(s.address, identity); err != nil {
		return nil, errors.Join(err, listener.Close(), app.Shutdown())
	}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(out, "local registry: serving %s: %v\n", s.address, err)
		}
	}()
	return s, nil
}

// Address is HOST:PORT of the registry.
func (s *Server) Address() string { return s.address }

// Displaced is the address that the folder's server had before, where another
// process has taken it; else empty. Address is the folder's from now on.
func (s *Server) Displaced() string { return s.displaced }

// Shared tells whether the registry is another Server's, which ends when that
// is closed.
func (s *Server) Shared() bool { return s.shared }

// Close stops the registry when the requests in flight are done, or after 30
// seconds. It does nothing if the registry is Shared, and nothing the second
// time.
func (s *Server) Close() error { return s.close() }

func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.unused.close()
	err := s.http.Shutdown(ctx)
	// Shutdown does not know a listener that Serve has not begun with yet.
	_ = s.listener.Close()
	if err != nil {
		err = fmt.Errorf("stopping the local registry: %w", errors.Join(err, s.http.Close()))
	}
	return errors.Join(err, s.app.Shutdown(), s.lock.release())
}

// newApp makes the registry's HTTP handler. NewApp is used rather than
// distribution's own server, which besides serving installs signal handlers,
// telemetry exporters and a global logger.
func newApp(ctx context.Context, root, identity string) (app *handlers.App, err error) {
	defer func() {
		// NewApp has no error to return; it panics.
		if cause := recover(); cause != nil {
			app, err = nil, fmt.Errorf("configuring the registry: %v", cause)
		}
	}()
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": {"rootdirectory": root},
			"delete":     {"enabled": true},
			"redirect":   {"disable": true},
			// removeAbandonedUploads does this at the start.
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
		// The most entries that one answer holds, as in distribution's
		// defaults; the zero value allows none.
		Catalog: configuration.Catalog{MaxEntries: 1000},
		Tags:    configuration.Tags{MaxTags: 1000},
	}
	// Signs the state of uploads, which end with the process.
	config.HTTP.Secret = randomText()
	config.HTTP.Headers = http.Header{identityHeader: {identity}}
	return handlers.NewApp(ctx, config), nil
}

// randomText is 32 random hexadecimal digits.
func randomText() string {
	var random [16]byte
	// Read never fails: it ends the program if there is no randomness.
	_, _ = rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

// removeAbandonedUploads deletes what pushes that were cut off left behind.
// Nobody else serves root, so every upload there is dead.
func removeAbandonedUploads(root string) error {
	repositories := filepath.Join(root, "docker", "registry", "v2", "repositories")
	err := filepath.WalkDir(repositories, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch entry.Name() {
		case "_uploads":
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return filepath.SkipDir
		case "_layers", "_manifests":
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing abandoned uploads: %w", err)
	}
	return nil
}
