package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	dockerclient "github.com/docker/docker/client"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/util/progress/progresswriter"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// exporterMoby is the Docker engine's own exporter: it puts an image among
// those that `docker images` lists, ready to run.
const exporterMoby = "moby"

// dockerImages is what both kinds of Docker store share: built images are
// among the engine's own, under their references, and FROM finds them there.
type dockerImages struct {
	api *dockerclient.Client
}

// useLocal makes FROM take the engine's own image of a name before the
// registry's: parents are found by the references that their builds gave them.
func (d dockerImages) useLocal(req build.Request, opt *client.SolveOpt) error {
	opt.FrontendAttrs["image-resolve-mode"] = "local"
	for ref, parent := range req.Parents {
		if len(parent.References) == 0 {
			return fmt.Errorf("parent image %s: its build gave it no reference", ref)
		}
	}
	return nil
}

// graphDriverStore is the store of Docker engines before 29 unless configured
// otherwise. It knows images but not their manifests: what it reports as a
// digest is the image ID, its exporter cannot push and silently ignores that
// it should, and a manifest comes into being only in a push through the
// Engine API.
type graphDriverStore struct {
	dockerImages
	// engine is the engine's name for messages.
	engine string
	// native are the platforms that the engine reports, its own first.
	native      []ocispec.Platform
	credentials *credentials
}

func (s *graphDriverStore) admit(req build.Request) error {
	const instead = "build with the embedded engine, a buildkitd, or a Docker engine with the containerd image store"
	switch len(req.Platforms) {
	case 0:
		return nil
	case 1:
		want, err := platforms.Parse(req.Platforms[0])
		if err != nil {
			return fmt.Errorf("platform %q: %w", req.Platforms[0], err)
		}
		if len(s.native) == 0 {
			return fmt.Errorf("%s does not tell its platform, and %s was asked for: %s", s.engine, req.Platforms[0], instead)
		}
		own := platforms.Format(platforms.Normalize(s.native[0]))
		if platforms.Format(platforms.Normalize(want)) != own {
			return fmt.Errorf("%s builds for %s only, and %s was asked for: %s", s.engine, own, req.Platforms[0], instead)
		}
		return nil
	}
	return fmt.Errorf("%s builds one platform at a time, and %s were asked for: %s", s.engine, strings.Join(req.Platforms, ", "), instead)
}

func (s *graphDriverStore) prepare(_ context.Context, req build.Request, opt *client.SolveOpt) error {
	opt.Exports = []client.ExportEntry{{Type: exporterMoby, Attrs: nameAttr(req)}}
	return s.useLocal(req, opt)
}

func (s *graphDriverStore) finish(ctx context.Context, req build.Request, response map[string]string, log progresswriter.Logger) (build.Result, error) {
	// What BuildKit's own exporters report as the manifest's digest is the
	// configuration's here.
	result := build.Result{ImageID: response[exptypes.ExporterImageDigestKey], References: slices.Clone(req.References)}
	if !req.Push {
		return result, nil
	}
	for _, ref := range req.References {
		digest, err := s.push(ctx, ref, log)
		if err != nil {
			return build.Result{}, err
		}
		if result.Digest != "" && result.Digest != digest {
			return build.Result{}, fmt.Errorf("pushing %s: its digest is %s, but %s of the same image got %s", ref, digest, req.References[0], result.Digest)
		}
		result.Digest = digest
	}
	return result, nil
}

// containerdStore is the containerd image store of Docker engines: images
// with their manifests, and BuildKit's full set of exporters.
type containerdStore struct {
	dockerImages
}

func (s *containerdStore) admit(build.Request) error { return nil }

func (s *containerdStore) prepare(_ context.Context, req build.Request, opt *client.SolveOpt) error {
	export := client.ExportEntry{Type: exporterMoby, Attrs: nameAttr(req)}
	if req.Push {
		export.Type = client.ExporterImage
		export.Attrs["push"] = "true"
		rewriteTimes(req, export.Attrs)
	}
	opt.Exports = []client.ExportEntry{export}
	return s.useLocal(req, opt)
}

func (s *containerdStore) finish(_ context.Context, req build.Request, response map[string]string, _ progresswriter.Logger) (build.Result, error) {
	digest, err := manifestDigest(response)
	if err != nil {
		return build.Result{}, err
	}
	return build.Result{Digest: digest, ImageID: imageID(response), References: slices.Clone(req.References)}, nil
}

// nameAttr names the exported image with all its references.
func nameAttr(req build.Request) map[string]string {
	if len(req.References) == 0 {
		return map[string]string{}
	}
	return map[string]string{"name": strings.Join(req.References, ",")}
}

// taggedReference parses a reference that can be pushed: a name and a tag.
func taggedReference(ref string) (reference.NamedTagged, error) {
	n, err := docker.Named(ref)
	if err != nil {
		return nil, err
	}
	tagged, ok := n.(reference.NamedTagged)
	if _, digested := n.(reference.Digested); !ok || digested {
		return nil, fmt.Errorf("image reference %q: only a tag can be pushed, not a digest", ref)
	}
	return tagged, nil
}
