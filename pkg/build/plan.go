package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	*Target
	// Source is the Dockerfile's content.
	Source []byte
	// Images are the images that the Dockerfile names, and Reads what it reads of
	// its context, with what ONBUILD instructions of siblings read there.
	Images []dockerfile.Use
	Reads  []string
	// OnBuild are the ONBUILD instructions that the image carries.
	OnBuild []string
	// Siblings are the targets of this plan among them: from the reference as
	// the Dockerfile names it to the target's name.
	Siblings map[string]string

	// inherited are the ONBUILD instructions of the siblings that it is FROM, by
	// the reference as the Dockerfile names it.
	inherited map[string][]string
}

// NewPlan reads the Dockerfiles of all targets, finds which are built from
// which, and puts them in order. Everything wrong is reported at once. A
// cycle is an error that prints it.
func NewPlan(root string, targets []*Target) (*Plan, error) {
	siblings := map[string]string{}
	for _, t := range targets {
		for _, tag := range t.Tags {
			siblings[t.Repository.Repository()+":"+tag] = t.Name
		}
	}
	var errs []error
	steps := make(map[string]*Step, len(targets))
	for _, t := range targets {
		step, err := readStep(root, t, siblings)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		steps[t.Name] = step
	}
	if len(errs) == 0 {
		errs = inherit(steps, targets, siblings)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	order := &ordering{steps: steps, state: map[string]visit{}}
	for _, t := range targets {
		if err := order.visit(t.Name, nil); err != nil {
			return nil, err
		}
	}
	return &Plan{Root: root, Steps: order.done}, nil
}

func readStep(root string, t *Target, siblings map[string]string) (*Step, error) {
	for _, rel := range []string{t.Dockerfile, t.Context} {
		if !filepath.IsLocal(filepath.FromSlash(rel)) {
			return nil, fmt.Errorf("%s: %s lies outside of the repository", t.Name, rel)
		}
	}
	source, err := os.ReadFile(filepath.Join(root, t.Dockerfile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such Dockerfile, though %s names it", t.Dockerfile, t.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: reading its Dockerfile: %w", t.Name, err)
	}
	if info, err := os.Stat(filepath.Join(root, t.Context)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s: its context %s is no folder", t.Name, t.Context)
	}
	step := &Step{Target: t, Source: source}
	return step, step.parse(siblings, nil)
}

// parse reads the step's Dockerfile. OnBuild tells the ONBUILD instructions of
// images that it is FROM; nil: none has any.
func (s *Step) parse(siblings map[string]string, onBuild func(image string) []string) error {
	file, err := dockerfile.Parse(s.Dockerfile, s.Source, dockerfile.Options{Args: s.Args, Stage: s.Stage, OnBuild: onBuild})
	if err != nil {
		return err
	}
	s.Images, s.Reads, s.OnBuild, s.Siblings, s.DependsOn = file.Images, file.Reads, file.OnBuild, map[string]string{}, nil
	for _, use := range file.Images {
		if _, err := reference.Parse(use.Image); err != nil {
			return fmt.Errorf("%s:%d: %w", s.Dockerfile, use.Line, err)
		}
		if sibling, ok := siblingOf(use.Image, siblings); ok {
			s.Siblings[use.Image] = sibling
			if !slices.Contains(s.DependsOn, sibling) {
				s.DependsOn = append(s.DependsOn, sibling)
			}
		}
	}
	return nil
}

// siblingOf is the name of the target that makes an image.
func siblingOf(image string, siblings map[string]string) (string, bool) {
	ref, err := reference.Parse(image)
	if err != nil || ref.Digest != "" {
		return "", false // with a digest it asks for one certain image, not for this run's
	}
	tag := ref.Tag
	if tag == "" {
		tag = "latest"
	}
	sibling, ok := siblings[ref.Repository()+":"+tag]
	return sibling, ok
}

// inherit reads the Dockerfiles once more that are FROM a sibling with ONBUILD
// instructions.
func inherit(steps map[string]*Step, targets []*Target, siblings map[string]string) []error {
	var errs []error
	for _, t := range targets {
		step := steps[t.Name]
		inherits := func(use dockerfile.Use) bool {
			sibling, ok := step.Siblings[use.Image]
			return ok && use.From() && len(steps[sibling].OnBuild) > 0
		}
		if !slices.ContainsFunc(step.Images, inherits) {
			continue
		}
		step.inherited = map[string][]string{}
		err := step.parse(siblings, func(image string) []string {
			if sibling, ok := siblingOf(image, siblings); ok {
				step.inherited[image] = steps[sibling].OnBuild
			}
			return step.inherited[image]
		})
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

type visit int

const (
	unseen visit = iota
	open
	closed
)

// An ordering sorts steps depth first, so that the order of targets is kept
// where dependencies allow.
type ordering struct {
	steps map[string]*Step
	state map[string]visit
	done  []Step
}

func (o *ordering) visit(name string, path []string) error {
	path = append(path, name)
	switch o.state[name] {
	case closed:
		return nil
	case open:
		start := slices.Index(path, name)
		return fmt.Errorf("%s: the images are built from each other: %s", o.steps[name].Dockerfile, strings.Join(path[start:], " → "))
	}
	o.state[name] = open
	for _, dependency := range o.steps[name].DependsOn {
		if err := o.visit(dependency, path); err != nil {
			return err
		}
	}
	o.state[name] = closed
	o.done = append(o.done, *o.steps[name])
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
