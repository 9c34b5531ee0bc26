package cli

import (
	"context"
	"fmt"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/engine"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// resolvePlatforms settles what images are built for, because that is part of
// what they are made of: what the settings say, else what the engine is.
func (s *session) resolvePlatforms(ctx context.Context) error {
	if len(s.Platforms) == 0 {
		own, err := s.ownPlatform(ctx)
		if err != nil {
			return err
		}
		s.Platforms = []string{own}
	}
	normalized, err := build.NormalizePlatforms(s.Platforms)
	if err != nil {
		return &invocation.UsageError{Err: err}
	}
	s.Platforms = normalized
	if s.project != nil {
		s.project.Platforms = normalized
	}
	return nil
}

// ownPlatform is the platform of the build engine. An engine of this machine is
// not asked, nor is one asked twice.
func (s *session) ownPlatform(ctx context.Context) (string, error) {
	if s.enginePlatform != "" {
		return s.enginePlatform, nil
	}
	config, err := s.engineConfig()
	if err != nil {
		return "", err
	}
	platform, err := engine.OwnPlatform(ctx, config)
	if err != nil {
		return "", fmt.Errorf("asking the engine what it builds for: %w; or say what to build for: --platform linux/amd64", err)
	}
	s.enginePlatform = platform
	return platform, nil
}
