package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/rtbuild/rtbuild/internal/edge/engine/embedded"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// openEmbedded starts BuildKit in this process.
func openEmbedded(ctx context.Context, cfg Config) (*engine, error) {
	if err := embedded.Supported(); err != nil {
		return nil, err
	}
	if cfg.StateDir == "" {
		return nil, errors.New("the embedded engine has no folder for its state")
	}
	log := cfg.Log
	if log == nil {
		log = io.Discard
	}
	running, err := embedded.Start(ctx, embedded.Config{Root: cfg.StateDir, Log: log, Insecure: cfg.InsecureRegistries, Roots: cfg.Roots})
	if err != nil {
		return nil, fmt.Errorf("starting the embedded engine in %s: %w", cfg.StateDir, err)
	}
	worker, err := firstWorker(ctx, running.Client(), reachTimeout)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded engine in %s: %w", cfg.StateDir, err), running.Close())
	}
	store := openOCIStore(cfg)
	store.knows = true
	return &engine{
		client: running.Client(),
		store:  store,
		caps: build.Capabilities{
			Engine:        "embedded BuildKit" + knownVersion(linkedBuildKit()),
			Platform:      platformOf(worker),
			MultiPlatform: true,
		},
		trust: embeddedTrust,
		stop:  func() error { return errors.Join(store.close(), running.Close()) },
	}, nil
}

// linkedBuildKit is the version of the BuildKit in this program, or "" where
// the program does not carry the versions of its modules.
func linkedBuildKit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/moby/buildkit" {
			return module.Version
		}
	}
	return ""
}
