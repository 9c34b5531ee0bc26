package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// OwnPlatform is the platform that the engine builds for where none is asked
// for, "os/arch[/variant]": this machine's for the embedded engine and for those
// at a socket of this machine. Others are asked, and an error says that one does
// not answer; for auto, the embedded engine is taken then.
func OwnPlatform(ctx context.Context, cfg Config) (string, error) {
	c, err := parseChoice(cfg.Builder)
	if err != nil {
		return "", err
	}
	switch {
	case c.kind == "embedded", c.kind == "buildkitd" && strings.HasPrefix(c.address, "unix://"):
		return build.HostPlatform(), nil
	case c.kind == "buildkitd":
		return askPlatform(openBuildkitd(ctx, c.address, cfg))
	}
	config, err := docker.LoadConfig()
	if err != nil {
		return "", err
	}
	endpoint, err := docker.Resolve(c.address, config)
	switch {
	case err == nil && endpoint.Local(), err != nil && c.kind == "auto":
		return build.HostPlatform(), nil
	case err != nil:
		return "", err
	}
	timeout := reachTimeout
	if c.kind == "auto" {
		timeout = autoTimeout
	}
	platform, err := askPlatform(openDocker(ctx, c.address, config, newCredentials(cfg.Logins, cfg.Roots), timeout))
	if err != nil && c.kind == "auto" && ctx.Err() == nil {
		return build.HostPlatform(), nil
	}
	return platform, err
}

// askPlatform is the platform of an engine, which is closed.
func askPlatform(eng *engine, err error) (string, error) {
	if err != nil {
		return "", err
	}
	platform := eng.caps.Platform
	if platform == "" {
		return "", errors.Join(errors.New(eng.caps.Engine+" does not tell its platform"), eng.stop())
	}
	return platform, eng.stop()
}

// platformOf is a worker's own platform, or "".
func platformOf(worker *client.WorkerInfo) string {
	if len(worker.Platforms) == 0 {
		return ""
	}
	return platforms.Format(platforms.Normalize(worker.Platforms[0]))
}
