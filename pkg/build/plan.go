// Package build makes images: it puts targets in order by what they are built
// from, finds out what each is made of and what the registry has of it, and runs
// the builds. Preparing needs no engine.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/dockerfile"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A Plan is what a run builds, in order.
type Plan struct {
	// Root is the absolute path that the targets' paths are relative to.
	Root string
	// Steps are in dependency order: each after those it depends on.
	Steps []Step
}

// A Step is a target with its Dockerfile read.
type Step struct {
	*discover.Target
	// Source is the Dockerfile's content.
	Source []byte
	// Images are the images that it is built from, for any of the platforms, with
	// those that ONBUILD instructions of siblings name.
	Images []dockerfile.Use
	// Frontend is the image among them that reads the Dockerfile ("# syntax=");
	// empty for BuildKit's own frontend.
	Frontend string
	// Siblings are the targets of this plan among the images: from Use.Image to
	// the target's name.
	Siblings map[string]string
}

// NewPlan reads the Dockerfiles of the wanted targets and of all that they are
// built from, finds which are built from which, for the platforms (HostPlatform if
// there are none), and puts them in order. Targets are all that there are; what is
// wrong with others than those keeps nobody from planning. Everything wrong is
// reported at once. A cycle is an error that prints it. Nothing is known of base
// images here: what depends on those is left to Run.Fingerprint.
func NewPlan(root string, targets, wanted []*discover.Target, platforms []string) (*Plan, error) {
	nothing := func(context.Context, string, string) (baseimage.Config, bool, error) {
		return baseimage.Config{}, true, nil
	}
	return NewPlanOn(nothing, root, targets, wanted, platforms)
}

// NewPlanOn is NewPlan with base images of which something is known, so that
// images which only their ONBUILD instructions name are in the plan, too.
func NewPlanOn(bases dockerfile.Images, root string, targets, wanted []*discover.Target, platforms []string) (*Plan, error) {
	if len(platforms) == 0 {
		platforms = []string{HostPlatform()}
	}
	p := &planner{root: root, platforms: platforms, bases: bases, targets: targetsByImage(targets), steps: map[string]*Step{}}
	order := wanted
	if err := p.read(order); err != nil {
		return nil, err
	}
	// What an image is built from can depend on ONBUILD instructions of a sibling,
	// which must have been converted before: again until the order was right.
	for {
		if err := p.convert(order); err != nil {
			return nil, err
		}
		parents := p.unread(targets)
		if err := p.read(parents); err != nil {
			return nil, err
		}
		if len(parents) > 0 {
			order = append(order[:len(order):len(order)], parents...)
			continue
		}
		sorted, err := p.sort(p.among(targets))
		if err != nil {
			return nil, err
		}
		if slices.Equal(sorted, order) {
			break
		}
		order = sorted
	}
	plan := &Plan{Root: root}
	for _, t := range order {
		plan.Steps = append(plan.Steps, *p.steps[t.Name])
	}
	return plan, nil
}

// targetsByImage are the names of the targets that make images, by repository and tag.
func targetsByImage(targets []*discover.Target) map[string]string {
	names := map[string]string{}
	for _, t := range targets {
		for _, tag := range t.Tags {
			names[t.Repository.Repository()+":"+tag] = t.Name
		}
	}
	return names
}

func readStep(root string, t *discover.Target) (*Step, error) {
	for _, rel := range []string{t.Dockerfile, t.Context} {
		if !filepath.IsLocal(filepath.FromSlash(rel)) {
			return nil, &dockerfile.Error{Name: t.Dockerfile, Message: fmt.Sprintf("%s lies outside of the repository, though %s names it", rel, t.Name)}
		}
	}
	source, err := os.ReadFile(filepath.Join(root, t.Dockerfile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &dockerfile.Error{Name: t.Dockerfile, Message: fmt.Sprintf("no such Dockerfile, though %s names it", t.Name)}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: reading its Dockerfile: %w", t.Name, err)
	}
	if info, err := os.Stat(filepath.Join(root, t.Context)); err != nil || !info.IsDir() {
		return nil, &dockerfile.Error{Name: t.Dockerfile, Message: fmt.Sprintf("the context of %s, %s, is not a folder", t.Name, t.Context)}
	}
	return &Step{Target: t, Source: source}, nil
}

// A planner finds what is built from what.
type planner struct {
	root      string
	platforms []string
	bases     dockerfile.Images
	targets   map[string]string
	steps     map[string]*Step
	// configs are what the siblings say that were converted in this round, by
	// target and platform.
	configs map[string]map[string]baseimage.Config
}

// read reads the Dockerfiles of targets.
func (p *planner) read(targets []*discover.Target) error {
	var errs []error
	for _, t := range targets {
		step, err := readStep(p.root, t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.steps[t.Name] = step
	}
	return errors.Join(errs...)
}

// unread are those of the targets that others are built from and that are not
// read.
func (p *planner) unread(targets []*discover.Target) []*discover.Target {
	needed := map[string]bool{}
	for _, step := range p.steps {
		for _, name := range step.DependsOn {
			needed[name] = p.steps[name] == nil
		}
	}
	return slices.DeleteFunc(slices.Clone(targets), func(t *discover.Target) bool { return !needed[t.Name] })
}

// among are those of the targets that are read, in their order.
func (p *planner) among(targets []*discover.Target) []*discover.Target {
	return slices.DeleteFunc(slices.Clone(targets), func(t *discover.Target) bool { return p.steps[t.Name] == nil })
}

// convert finds what the targets are built from, in that order.
func (p *planner) convert(order []*discover.Target) error {
	p.configs = map[string]map[string]baseimage.Config{}
	var errs []error
	for _, t := range order {
		step := p.steps[t.Name]
		step.Images, step.Siblings, step.DependsOn = nil, map[string]string{}, nil
		p.configs[t.Name] = map[string]baseimage.Config{}
		for _, platform := range p.platforms {
			converted, err := p.convertStep(step, platform)
			if err != nil {
				errs = append(errs, err)
				break
			}
			p.configs[t.Name][platform] = converted.Config
			step.add(converted.Images, p.targets)
		}
		if err := step.addFrontend(p.targets); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// convertStep takes base images to say what is known of them. Where that may be
// what is wrong, the images are all that is wanted.
func (p *planner) convertStep(step *Step, platform string) (*dockerfile.Conversion, error) {
	known := true
	opts := step.options(platform, func(ctx context.Context, image, platform string) (baseimage.Config, bool, error) {
		sibling, ok := targetOf(image, p.targets)
		if !ok {
			config, _, err := p.bases(ctx, image, platform)
			return config, known, err
		}
		return anyOf(p.configs[sibling], platform, p.platforms), known, nil
	})
	// Where it is built is mostly here, and may name a sibling (tools-$BUILDARCH).
	opts.BuildPlatform = HostPlatform()
	converted, err := dockerfile.Convert(context.Background(), step.Source, opts)
	if err != nil {
		known = false
		return dockerfile.Convert(context.Background(), step.Source, opts)
	}
	return converted, nil
}

// anyOf is what an image says for a platform; one that is not built for it is
// taken as it is for the first of those that it is built for.
func anyOf(configs map[string]baseimage.Config, platform string, platforms []string) baseimage.Config {
	if config, ok := configs[platform]; ok {
		return config
	}
	return configs[platforms[0]]
}

// options are those of a conversion of the step.
func (s *Step) options(platform string, images dockerfile.Images) dockerfile.Options {
	return dockerfile.Options{Name: s.Dockerfile, Args: s.Args, Stage: s.Stage, Platform: platform, Images: images}
}

// Bases are those of the images that it is built from that no target makes.
func (s *Step) Bases() []string {
	var bases []string
	for _, use := range s.Images {
		if _, sibling := s.Siblings[use.Image]; !sibling {
			bases = append(bases, use.Image)
		}
	}
	return bases
}

// add notes images that the step is built from.
func (s *Step) add(images []dockerfile.Use, targets map[string]string) {
	for _, use := range images {
		if !slices.ContainsFunc(s.Images, func(known dockerfile.Use) bool { return known.Image == use.Image }) {
			s.Images = append(s.Images, use)
		}
		if sibling, ok := targetOf(use.Image, targets); ok {
			s.Siblings[use.Image] = sibling
			if !slices.Contains(s.DependsOn, sibling) {
				s.DependsOn = append(s.DependsOn, sibling)
			}
		}
	}
}

// addFrontend notes the image that reads the Dockerfile.
func (s *Step) addFrontend(targets map[string]string) error {
	frontend := dockerfile.Frontend(s.Source, s.Args)
	if frontend == "" {
		return nil
	}
	use, err := dockerfile.NewUse(frontend)
	if err != nil {
		return fmt.Errorf("%s:1: # syntax=: %w", s.Dockerfile, err)
	}
	use.Line, s.Frontend = 1, use.Image
	s.add([]dockerfile.Use{use}, targets)
	return nil
}

// targetOf is the name of the target that makes an image.
func targetOf(image string, targets map[string]string) (string, bool) {
	ref, err := reference.Parse(image)
	if err != nil || ref.Digest != "" {
		return "", false // with a digest it asks for one certain image, not for this run's
	}
	tag := ref.Tag
	if tag == "" {
		tag = "latest"
	}
	name, ok := targets[ref.Repository()+":"+tag]
	return name, ok
}

type visit int

const (
	unseen visit = iota
	open
	closed
)

// sort puts the targets in order, depth first, so that their own order is kept
// where dependencies allow.
func (p *planner) sort(targets []*discover.Target) ([]*discover.Target, error) {
	order := &ordering{steps: p.steps, state: map[string]visit{}}
	for _, t := range targets {
		if err := order.visit(t.Name, nil); err != nil {
			return nil, err
		}
	}
	return order.done, nil
}

type ordering struct {
	steps map[string]*Step
	state map[string]visit
	done  []*discover.Target
}

func (o *ordering) visit(name string, path []string) error {
	path = append(path, name)
	switch o.state[name] {
	case closed:
		return nil
	case open:
		start := slices.Index(path, name)
		return &dockerfile.Error{Name: o.steps[name].Dockerfile, Message: "the images are built from each other: " + strings.Join(path[start:], " → ")}
	}
	o.state[name] = open
	for _, dependency := range o.steps[name].DependsOn {
		if err := o.visit(dependency, path); err != nil {
			return err
		}
	}
	o.state[name] = closed
	o.done = append(o.done, o.steps[name].Target)
	return nil
}

// Subset is the plan of some of the targets and of all that they are built
// from.
func (p *Plan) Subset(names map[string]bool) *Plan {
	wanted := withParents(p.Steps, names)
	subset := &Plan{Root: p.Root}
	for _, step := range p.Steps {
		if wanted[step.Name] {
			subset.Steps = append(subset.Steps, step)
		}
	}
	return subset
}

// withParents adds to names all that they are built from. The steps are in the
// plan's order.
func withParents(steps []Step, names map[string]bool) map[string]bool {
	wanted := map[string]bool{}
	for i := len(steps) - 1; i >= 0; i-- {
		step := steps[i]
		if names[step.Name] || wanted[step.Name] {
			wanted[step.Name] = true
			for _, dependency := range step.DependsOn {
				wanted[dependency] = true
			}
		}
	}
	return wanted
}
