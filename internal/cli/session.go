package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/engine"
	"github.com/rtbuild/rtbuild/internal/edge/logins"
	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/internal/registryserver"
	"github.com/rtbuild/rtbuild/internal/version"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// stateFolder is the path of name under the state folder, which is made if it
// is missing, and which git is told to ignore.
func (a *app) stateFolder(name string) (string, error) {
	folder := filepath.Join(a.Root, invocation.StateDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("making the folder for state: %w", err)
	}
	ignore := filepath.Join(folder, ".gitignore")
	if _, err := os.Lstat(ignore); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
			return "", fmt.Errorf("making the folder for state: %w", err)
		}
	}
	return filepath.Join(folder, name), nil
}

// A session is a repository with the edges that a command opened on it.
type session struct {
	*invocation.Settings
	*edges
	app     *app
	project *release.Project
}

// edges are opened when they are first needed. The trees that one command
// looks at share them.
type edges struct {
	local  *registryserver.Server
	client *registry.Client
	// enginePlatform is what the engine is, once that is known.
	enginePlatform string
}

// open finds the repository that the flags name, and reads its settings alone.
func (a *app) open() (*session, error) {
	settings, err := a.Open()
	if err != nil {
		return nil, err
	}
	return &session{Settings: settings, edges: &edges{}, app: a}, nil
}

// at is the session of another tree: of the same flags, environment and edges,
// with that tree's own settings file.
func (s *session) at(root string) (*session, error) {
	merged, err := s.app.SettingsOf(root)
	if err != nil {
		return nil, err
	}
	return &session{Settings: merged, edges: s.edges, app: s.app}, nil
}

// load evaluates the manifests, again after they were changed.
func (s *session) load(ctx context.Context) error {
	ev, err := s.app.Evaluator(s.Root, s.Config)
	if err != nil {
		return err
	}
	project, err := release.Open(ctx, ev, s.Root, s.Config)
	if err != nil {
		return err
	}
	project.Platforms, project.Discovery.Base = s.Platforms, s.app.Base
	s.project = project
	return nil
}

// destination is HOST[/PREFIX] to push to, or empty for where the manifests say.
// It starts the embedded registry if that is the one.
func (s *session) destination(ctx context.Context) (string, error) {
	return s.locate(ctx, s.Registry)
}

func (s *session) locate(ctx context.Context, registry string) (string, error) {
	prefix, isLocal := invocation.LocalPrefix(registry)
	if !isLocal {
		return registry, nil
	}
	if s.local == nil {
		folder, err := s.app.stateFolder("registry")
		if err != nil {
			return "", err
		}
		server, err := registryserver.Start(ctx, registryserver.Config{Root: folder, Log: s.app.verboseLog()})
		if err != nil {
			return "", fmt.Errorf("starting the embedded registry: %w", err)
		}
		s.local = server
		s.app.warnDisplaced(server)
	}
	return s.local.Address() + prefix, nil
}

// warnDisplaced says that references to the embedded registry change.
func (a *app) warnDisplaced(server *registryserver.Server) {
	if before := server.Displaced(); before != "" {
		a.Warnf("%s is taken by another process: the embedded registry is at %s from now on", before, server.Address())
	}
}

// close ends what the session started.
func (s *session) close() error {
	if s.local == nil {
		return nil
	}
	if err := s.local.Close(); err != nil {
		return fmt.Errorf("closing the embedded registry: %w", err)
	}
	return nil
}

// with opens the repository that the flags name, does something with it, and
// closes what that started.
func (a *app) with(cmd *cobra.Command, do func(ctx context.Context, s *session) error) error {
	return a.withSettings(cmd, func(ctx context.Context, s *session) error {
		if err := s.load(ctx); err != nil {
			return err
		}
		return do(ctx, s)
	})
}

// withSettings is with, where the manifests are not loaded yet.
func (a *app) withSettings(cmd *cobra.Command, do func(ctx context.Context, s *session) error) (err error) {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return do(cmd.Context(), s)
}

// registryClient is the session's one client: it keeps connections and
// tokens.
func (s *session) registryClient() *registry.Client {
	if s.client == nil {
		s.client = registry.New(registry.Config{Insecure: s.Insecure, CAFiles: s.CAFiles, Concurrency: 32, UserAgent: "rtbuild/" + version.This().Version})
	}
	return s.client
}

// openBuilder opens the build engine, which shows its progress in that form.
func (s *session) openBuilder(ctx context.Context, progress string) (build.Builder, error) {
	config, err := s.engineConfig()
	if err != nil {
		return nil, err
	}
	config.Progress = engine.Progress{Out: s.app.Streams.Err, Mode: engine.ProgressMode(progress)}
	if progress == progressLines {
		config.Progress.Mode = engine.ProgressQuiet
	}
	if config.StateDir, err = s.app.stateFolder("buildkit"); err != nil {
		return nil, err
	}
	return engine.Open(ctx, config)
}

// engineConfig says which engine to open, and how.
func (s *session) engineConfig() (engine.Config, error) {
	roots, err := registry.Roots(s.CAFiles)
	if err != nil {
		return engine.Config{}, err
	}
	return engine.Config{
		Builder:            s.Builder,
		InsecureRegistries: s.Insecure,
		Logins:             logins.Find,
		Roots:              roots,
		Log:                s.app.verboseLog(),
	}, nil
}

func (a *app) verboseLog() io.Writer {
	if a.Flags.Verbose {
		return a.Streams.Err
	}
	return nil
}
