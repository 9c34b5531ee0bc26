// Package dockerfile asks BuildKit what a Dockerfile comes to: which images it
// is built from, which paths of its context it reads, and what is done with
// them. It reads no Dockerfile by itself: BuildKit's own conversion answers, the
// one that the build runs.
package dockerfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
)

// Options say what is to be built of a Dockerfile, and for what.
type Options struct {
	// Name is the Dockerfile's path, for messages.
	Name string
	// Args are the build arguments.
	Args map[string]string
	// Stage is the stage to build; empty for the last one.
	Stage string
	// Platform is what the image is for, and BuildPlatform where it is built
	// ("os/arch[/variant]"; empty for Platform).
	Platform, BuildPlatform string
	// Images tells what the images say that the Dockerfile is built from. It is
	// called from several goroutines.
	Images Images
}

// Images tells what an image says to builds on it. The image is as Use.Image has
// it; the platform is the one wanted of it. Known is false where nobody can tell.
type Images func(ctx context.Context, image, platform string) (config baseimage.Config, known bool, err error)

// A Use is an image that a Dockerfile names in a stage that is needed.
type Use struct {
	// Image is the reference in its familiar form, with arguments substituted and
	// without the tag latest: "debian:bookworm-slim"; Full is the same in full,
	// "docker.io/library/debian:bookworm-slim".
	Image, Full string
	// Line is the first line of the instruction, 1-based, or 0 where BuildKit
	// does not say.
	Line int
}

// A Conversion is what a Dockerfile comes to for one platform.
type Conversion struct {
	// Images are the images that it is built from, in source order. Names of
	// stages and "scratch" are no images.
	Images []Use
	// Known tells whether Images could tell of all of them. Where not, only
	// Images is filled.
	Known bool
	// Instructions is a hash, 64 hex digits, of what is done: all operations,
	// with arguments and environments substituted, and the configuration of the
	// image. Neither what is in the images and files that they work on shows in
	// it, nor comments and spacing.
	Instructions string
	// Reads are the paths of the context that BuildKit asks who has it for
	// (local.followpaths), see buildcontext.Dir.Read.
	Reads []string
	// Needs are the paths, without wildcards, that must be in the context.
	Needs []string
	// Config is what the image says to builds on it.
	Config baseimage.Config
	// Epoch is the image's time where the Dockerfile sets it, by an argument
	// SOURCE_DATE_EPOCH; else nil.
	Epoch *time.Time
	// Base is what the image says that the last stage is FROM, by way of other
	// stages or not; nil for scratch.
	Base *baseimage.Config
}

// Frontend is the image that is to read the Dockerfile instead of BuildKit's own
// frontend: the build argument BUILDKIT_SYNTAX, else the directive "# syntax=".
// It is empty where there is none.
func Frontend(source []byte, args map[string]string) string {
	if line, ok := args["BUILDKIT_SYNTAX"]; ok {
		image, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		return image
	}
	image, _, _, _ := parser.DetectSyntax(source)
	return image
}

// Convert converts a Dockerfile as the build does. Errors start with
// "name:line:".
func Convert(ctx context.Context, source []byte, opts Options) (*Conversion, error) {
	resolver := &resolver{images: opts.Images}
	convertible, err := opts.convertible(source, resolver)
	if err != nil {
		return nil, err
	}
	converted, err := dockerfile2llb.Dockerfile2LLB(ctx, source, convertible)
	if err != nil {
		return resolver.failed(opts.Name, err)
	}
	definition, err := converted.State.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Name, err)
	}
	resolver.locate(definition)
	if resolver.unknown {
		return &Conversion{Images: resolver.sorted()}, nil
	}
	return convert(converted, definition, resolver)
}

// convertible is what BuildKit is to convert.
func (opts Options) convertible(source []byte, resolver *resolver) (dockerfile2llb.ConvertOpt, error) {
	platform, err := parsePlatform(opts.Platform)
	if err != nil {
		return dockerfile2llb.ConvertOpt{}, err
	}
	buildPlatform := platform
	if opts.BuildPlatform != "" {
		if buildPlatform, err = parsePlatform(opts.BuildPlatform); err != nil {
			return dockerfile2llb.ConvertOpt{}, err
		}
	}
	caps := pb.Caps.CapSet(pb.Caps.All())
	args := make(map[string]string, len(opts.Args)) // BuildKit changes it
	for name, value := range opts.Args {
		args[name] = value
	}
	return dockerfile2llb.ConvertOpt{
		Config:         dockerui.Config{BuildArgs: args, Target: opts.Stage, BuildPlatforms: []ocispec.Platform{buildPlatform}},
		SourceMap:      llb.NewSourceMap(nil, opts.Name, "Dockerfile", source),
		TargetPlatform: &platform,
		MetaResolver:   resolver,
		LLBCaps:        &caps,
	}, nil
}

// parsePlatform reads a platform as the build does: "linux/arm" is
// "linux/arm/v7" there (dockerui, parsePlatforms).
func parsePlatform(name string) (ocispec.Platform, error) {
	platform, err := platforms.Parse(name)
	if err != nil {
		return ocispec.Platform{}, fmt.Errorf("platform %q: %w", name, err)
	}
	return platforms.Normalize(platform), nil
}

// convert puts a conversion together.
func convert(converted *dockerfile2llb.Result, definition *llb.Definition, resolver *resolver) (*Conversion, error) {
	ops, err := readOperations(definition)
	if err != nil {
		return nil, err
	}
	image, err := json.Marshal(converted.Image)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(ops.hash+"\n"), image...))
	c := &Conversion{
		Images: resolver.sorted(), Known: true, Instructions: hex.EncodeToString(sum[:]),
		Reads: ops.reads, Needs: ops.needs, Config: configOf(converted.Image), Epoch: converted.Epoch,
	}
	if converted.BaseImage != nil {
		base := configOf(converted.BaseImage)
		c.Base = &base
	}
	return c, nil
}
