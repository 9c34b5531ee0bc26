package build

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/buildcontext"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/dockerfile"
)

// Fingerprint finds out what each step's image is made of. What is wrong with
// one step is kept in it.
func (r *Run) Fingerprint(ctx context.Context, plan *Plan) *Prepared {
	f := &fingerprinting{run: r, root: plan.Root, hasher: &buildcontext.Hasher{}, bases: newBaseLookup(r.Bases), made: map[string]*made{}, platforms: r.Platforms}
	if len(f.platforms) == 0 {
		f.platforms = []string{HostPlatform()}
	}
	var targets []*discover.Target
	for _, step := range plan.Steps {
		targets = append(targets, step.Target)
	}
	f.targets = targetsByImage(targets)
	f.bases.prefetch(ctx, plan, f.platforms)
	p := &Prepared{Root: plan.Root}
	for _, step := range plan.Steps {
		prepared := PreparedStep{Step: step, Published: map[string]string{}}
		prepared.Err = f.step(ctx, &prepared)
		p.Steps = append(p.Steps, prepared)
	}
	return p
}

// A fingerprinting goes through the steps of one plan.
type fingerprinting struct {
	run       *Run
	root      string
	platforms []string
	hasher    *buildcontext.Hasher
	bases     *baseLookup
	targets   map[string]string
	made      map[string]*made
}

// made is what is known of a sibling that was gone through.
type made struct {
	// fingerprint is empty where it cannot be known.
	fingerprint string
	// configs are what the image says for each platform; none where it is not
	// known.
	configs map[string]baseimage.Config
}

func (f *fingerprinting) step(ctx context.Context, p *PreparedStep) error {
	self := &made{configs: map[string]baseimage.Config{}}
	f.made[p.Name] = self
	p.Images, p.Siblings = nil, map[string]string{}
	p.DependsOn = slices.Clone(p.DependsOn)
	conversions, err := f.convert(ctx, p)
	if err != nil {
		return err
	}
	p.Inputs = p.inputs(f.run.Labels, f.platforms)
	known, err := f.images(ctx, p)
	if err != nil {
		return err
	}
	if err := f.files(ctx, p, conversions); err != nil {
		return fmt.Errorf("%s: %w", p.Dockerfile, err)
	}
	p.Labels = maps.Clone(f.run.Labels)
	for i, platform := range f.platforms {
		known = known && conversions[i].Known
		p.Epoch = later(p.Epoch, epochOf(conversions[i]))
		p.Inputs.Instructions[platform] = conversions[i].Instructions
		if p.Frontend != "" {
			p.Inputs.Instructions[platform] = hashText(string(p.Source))
		}
	}
	if !known {
		return nil
	}
	for i, platform := range f.platforms {
		config := conversions[i].Config
		config.Created = p.Epoch
		self.configs[platform] = config
	}
	p.Fingerprint = p.Inputs.Fingerprint()
	self.fingerprint = p.Fingerprint
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[LabelFingerprint], p.Labels[LabelInputs] = p.Fingerprint, p.Inputs.Label()
	return nil
}

// convert converts the step's Dockerfile for each platform.
func (f *fingerprinting) convert(ctx context.Context, p *PreparedStep) ([]*dockerfile.Conversion, error) {
	named := namesBuildPlatform(p.Source)
	conversions, shows, err := f.convertOn(ctx, p, named)
	if err == nil && shows && !named {
		conversions, _, err = f.convertOn(ctx, p, true)
	}
	if err != nil {
		return nil, err
	}
	for _, converted := range conversions {
		p.add(converted.Images, f.targets)
	}
	return conversions, p.addFrontend(f.targets)
}

// convertOn converts for the platform that the step is built on, if that is known
// to show in what it comes to. If not, it tells whether it shows.
func (f *fingerprinting) convertOn(ctx context.Context, p *PreparedStep, known bool) (conversions []*dockerfile.Conversion, shows bool, err error) {
	p.BuildPlatform = ""
	if known {
		if p.BuildPlatform, err = f.run.buildPlatform(ctx); err != nil {
			return nil, false, fmt.Errorf("%s: finding the platform that it is built on: %w", p.Dockerfile, err)
		}
	}
	for _, platform := range f.platforms {
		answers := &answers{ask: f.image}
		opts := p.options(platform, answers.image)
		opts.BuildPlatform = p.BuildPlatform
		converted, err := dockerfile.Convert(ctx, p.Source, opts)
		if err != nil {
			return nil, false, err
		}
		conversions = append(conversions, converted)
		if known {
			continue
		}
		opts.Images, opts.BuildPlatform = answers.again, elsewhere
		other, err := dockerfile.Convert(ctx, p.Source, opts)
		shows = shows || err != nil || !reflect.DeepEqual(converted, other)
	}
	return conversions, shows, nil
}

// elsewhere is a platform that nothing is built on.
const elsewhere = "elsewhere/elsewhere/elsewhere"

// namesBuildPlatform tells whether a Dockerfile may use one of the arguments
// that tell where it is built. It may also be an ONBUILD instruction of a base
// that does, and a name may go on in the next line.
func namesBuildPlatform(source []byte) bool {
	return slices.ContainsFunc([]string{"BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"}, func(name string) bool {
		return strings.Contains(string(source), name)
	})
}

// answers keeps what was asked of images in one conversion, for another.
type answers struct {
	ask   dockerfile.Images
	mu    sync.Mutex
	known map[string]baseimage.Config // by image and platform
}

// image implements dockerfile.Images.
func (a *answers) image(ctx context.Context, image, platform string) (baseimage.Config, bool, error) {
	config, known, err := a.ask(ctx, image, platform)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[string]baseimage.Config{}
	}
	if known {
		a.known[image+" "+platform] = config
	}
	return config, known, err
}

// again implements dockerfile.Images: nobody is asked again.
func (a *answers) again(_ context.Context, image, platform string) (baseimage.Config, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	config, known := a.known[image+" "+platform]
	return config, known, nil
}

// image implements dockerfile.Images.
func (f *fingerprinting) image(ctx context.Context, image, platform string) (baseimage.Config, bool, error) {
	sibling, ok := targetOf(image, f.targets)
	if !ok {
		return f.bases.config(ctx, image, platform)
	}
	m := f.made[sibling]
	if m == nil {
		return baseimage.Config{}, false, fmt.Errorf("%s makes it, and comes later: only ONBUILD instructions of a base image name it; name it in the Dockerfile as well", sibling)
	}
	if len(m.configs) == 0 {
		return baseimage.Config{}, false, nil
	}
	return anyOf(m.configs, platform, f.platforms), true, nil
}

// images notes which images the step is built from, and tells whether it is
// known of all what they are made of.
func (f *fingerprinting) images(ctx context.Context, p *PreparedStep) (known bool, err error) {
	known = true
	for _, use := range p.Images {
		if sibling, ok := p.Siblings[use.Image]; ok {
			fingerprint := f.made[sibling].fingerprint
			p.Inputs.Siblings[use.Image] = fingerprint
			known = known && fingerprint != ""
			continue
		}
		digest, err := f.bases.digest(ctx, use.Image)
		if err != nil {
			return false, fmt.Errorf("%s:%d: finding the image %s: %w", p.Dockerfile, max(1, use.Line), use.Image, err)
		}
		p.Inputs.Bases[use.Image] = digest
		known = known && digest != ""
		if err := f.localOnly(ctx, p, use.Image); err != nil {
			return false, err
		}
	}
	return known, nil
}

// localOnly notes that a base image holds something of the machine that made it.
func (f *fingerprinting) localOnly(ctx context.Context, p *PreparedStep, image string) error {
	for _, platform := range f.platforms {
		config, _, err := f.bases.config(ctx, image, platform)
		if err != nil {
			return err
		}
		if config.LocalOnly != "" {
			p.LocalOnly = image + " " + config.LocalOnly
		}
	}
	return nil
}

// files lists what the step reads of its context: all of it, where BuildKit's
// own frontend does not read the Dockerfile, or it is not known what base images
// say.
func (f *fingerprinting) files(ctx context.Context, p *PreparedStep, conversions []*dockerfile.Conversion) error {
	dir, err := buildcontext.Open(filepath.Join(f.root, filepath.FromSlash(p.Context)), filepath.Join(f.root, filepath.FromSlash(p.Dockerfile)), f.run.State)
	if err != nil {
		return err
	}
	var reads, needs []string
	for i, converted := range conversions {
		if p.Frontend != "" || !converted.Known {
			reads, needs = []string{buildcontext.Everything}, nil
			break
		}
		reads, needs = append(reads, converted.Reads...), append(needs, converted.Needs...)
		if len(conversions) == 1 {
			break
		}
		files, err := dir.Read(ctx, f.hasher, converted.Reads)
		if err != nil {
			return err
		}
		p.Inputs.Reads[f.platforms[i]] = hashText(strings.Join(slices.Sorted(maps.Keys(files.Hashes())), "\n"))
	}
	if p.Files, err = dir.Read(ctx, f.hasher, reads); err != nil {
		return err
	}
	p.Inputs.Files = p.Files.Hashes()
	return p.Files.Require(needs)
}

// earliest is the time of images whose base has none: that of the first file
// that a ZIP archive can hold.
func earliest() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }

// epochOf is the time that an image carries: the one that its Dockerfile sets,
// else that of its base. It moves only where all layers move: with the base.
func epochOf(c *dockerfile.Conversion) time.Time {
	switch {
	case c.Epoch != nil:
		return *c.Epoch
	case c.Base != nil:
		return later(earliest(), c.Base.Created.UTC().Truncate(time.Second))
	}
	return earliest()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
