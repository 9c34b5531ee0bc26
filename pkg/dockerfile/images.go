package dockerfile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
)

// A resolver answers BuildKit's conversion for images, and notes for which. It
// gives no digests: what is done does not depend on which image of a name it is
// done to, and that is hashed by itself.
type resolver struct {
	images Images

	mu   sync.Mutex
	uses []Use
	// unknown tells that nobody could tell of one of them.
	unknown bool
	// image and err are the first failure.
	image string
	err   error
}

// ResolveImageConfig implements llb.ImageMetaResolver.
func (r *resolver) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	use, err := NewUse(ref)
	if err != nil {
		return "", "", nil, err
	}
	platform := platforms.Format(platforms.Normalize(*opt.ImageOpt.Platform))
	config, known, err := r.images(ctx, use.Image, platform)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.uses, use) {
		r.uses = append(r.uses, use)
	}
	r.unknown = r.unknown || !known
	if err != nil {
		if r.err == nil {
			r.image, r.err = use.Image, err
		}
		return "", "", nil, err
	}
	encoded, err := json.Marshal(imageOf(config, *opt.ImageOpt.Platform))
	return ref, "", encoded, err
}

// NewUse is the use of an image by a reference as a Dockerfile writes it.
func NewUse(ref string) (Use, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return Use{}, fmt.Errorf("image reference %q: %w", ref, err)
	}
	named = reference.TagNameOnly(named)
	return Use{Image: strings.TrimSuffix(reference.FamiliarString(named), ":latest"), Full: named.String()}, nil
}

// imageOf is an image with that configuration. Without a layer BuildKit would
// take it for scratch.
func imageOf(config baseimage.Config, platform platforms.Platform) dockerspec.DockerOCIImage {
	image := dockerspec.DockerOCIImage{}
	image.Platform = platform
	if !config.Created.IsZero() {
		image.Created = &config.Created
	}
	image.RootFS.Type, image.RootFS.DiffIDs = "layers", []digest.Digest{digest.FromString("")}
	image.Config.Env, image.Config.WorkingDir, image.Config.User = config.Env, config.WorkingDir, config.User
	image.Config.Shell, image.Config.OnBuild = config.Shell, config.OnBuild
	return image
}

func configOf(image *dockerspec.DockerOCIImage) baseimage.Config {
	config := baseimage.Config{
		Env: image.Config.Env, WorkingDir: image.Config.WorkingDir, User: image.Config.User,
		Shell: image.Config.Shell, OnBuild: image.Config.OnBuild,
	}
	if image.Created != nil {
		config.Created = *image.Created
	}
	return config
}

// locate notes the lines of the images' instructions.
func (r *resolver) locate(definition *llb.Definition) {
	if definition.Source == nil {
		return
	}
	for _, encoded := range definition.Def {
		var op pb.Op
		if err := op.Unmarshal(encoded); err != nil {
			continue
		}
		image, ok := strings.CutPrefix(op.GetSource().GetIdentifier(), "docker-image://")
		locations := definition.Source.Locations[string(digest.FromBytes(encoded))]
		if !ok || locations == nil {
			continue
		}
		for i := range r.uses {
			for _, location := range locations.Locations {
				if r.uses[i].Full == image && len(location.Ranges) > 0 {
					r.uses[i].Line = earlier(r.uses[i].Line, int(location.Ranges[0].Start.Line))
				}
			}
		}
	}
}

// earlier is the smaller of two lines, of which known may be 0.
func earlier(known, line int) int {
	if known == 0 {
		return line
	}
	return min(known, line)
}

func (r *resolver) sorted() []Use {
	slices.SortFunc(r.uses, func(a, b Use) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Image, b.Image)) })
	return r.uses
}

// failed is what becomes of a conversion that BuildKit gave up. Where an image
// is not known, what its environment sets is not known either, and may be all
// that is wrong: the images are the answer then.
func (r *resolver) failed(name string, err error) (*Conversion, error) {
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("%s:%d: finding the base image %s: %w", name, line(err), r.image, r.err)
	case r.unknown && !strings.Contains(err.Error(), reference.ErrReferenceInvalidFormat.Error()):
		return &Conversion{Images: r.sorted()}, nil
	}
	return nil, located(name, err)
}

var (
	parseError = regexp.MustCompile(`^dockerfile parse error on line (\d+): `)
	blankName  = regexp.MustCompile(`^base name \((.*)\) should not be blank`)
)

// An Error is what is wrong with a Dockerfile.
type Error struct {
	// Name is the Dockerfile's path; Line is 1-based, 0 where it is about the whole.
	Name string
	Line int
	// Message says what is wrong, without the position.
	Message string
	err     error // what BuildKit says
}

// Error is "name:line: message".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Name + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Message)
}

func (e *Error) Unwrap() error { return e.err }

// located puts the position that BuildKit's error carries in front. Some of
// its errors carry it as a value, others only in their text.
func located(name string, err error) error {
	text := err.Error()
	if match := parseError.FindStringSubmatch(text); match != nil {
		line, convErr := strconv.Atoi(match[1])
		if convErr == nil {
			return &Error{Name: name, Line: line, Message: text[len(match[0]):], err: err}
		}
	}
	if match := blankName.FindStringSubmatch(text); match != nil {
		text = fmt.Sprintf("FROM %s names no image: declare the argument before the first FROM with a default (ARG NAME=value)", match[1])
	}
	return &Error{Name: name, Line: line(err), Message: text, err: err}
}

// line is where an error is, or 1 where BuildKit does not say.
func line(err error) int {
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		return max(1, at.Locations[0][0].Start.Line)
	}
	return 1
}
