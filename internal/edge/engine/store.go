package engine

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/util/progress/progresswriter"
	"github.com/opencontainers/go-digest"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// An imageStore is where an engine keeps the images that it builds: how a
// build hands its image over, how a later build finds it, and how it gets to
// a registry. This is what engines differ in.
type imageStore interface {
	// admit refuses what the store cannot do.
	admit(req build.Request) error
	// prepare adds the request's exports and parents to opt.
	prepare(ctx context.Context, req build.Request, opt *client.SolveOpt) error
	// finish brings a solved build to where the request wants it, and tells
	// where that is. Log gets what takes time as progress.
	finish(ctx context.Context, req build.Request, response map[string]string, log progresswriter.Logger) (build.Result, error)
}

// imageID is the digest of the image's configuration, or "".
func imageID(response map[string]string) string {
	return response[exptypes.ExporterImageConfigDigestKey]
}

// manifestDigest is the digest of the manifest (or index) that the image
// exporters report.
func manifestDigest(response map[string]string) (string, error) {
	d, err := digest.Parse(response[exptypes.ExporterImageDigestKey])
	if err != nil {
		return "", fmt.Errorf("the engine reported %q as the image's digest: %w", response[exptypes.ExporterImageDigestKey], err)
	}
	return d.String(), nil
}
