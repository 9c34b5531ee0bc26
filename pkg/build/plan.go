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
	// Images are the images that the Dockerfile names.
	Images []dockerfile.Use
	// Siblings are the targets of this plan among them: from the reference as
	// the Dockerfile names it to the target's name.
	Siblings map[string]string
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
	uses, err := dockerfile.Images(t.Dockerfile, source, dockerfile.Options{Args: t.Args, Stage: t.Stage})
	if err != nil {
		return nil, err
	}
	step := &Step{Target: t, Source: source, Images: uses, Siblings: map[string]string{}}
	t.DependsOn = nil
	for _, use := range uses {
		ref, err := reference.Parse(use.Image)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", t.Dockerfile, use.Line, err)
		}
		if ref.Digest != "" {
			continue // it asks for one certain image, not for this run's
		}
		tag := ref.Tag
		if tag == "" {
			tag = "latest"
		}
		if sibling, ok := siblings[ref.Repository()+":"+tag]; ok {
			step.Siblings[use.Image] = sibling
			if !slices.Contains(t.DependsOn, sibling) {
				t.DependsOn = append(t.DependsOn, sibling)
			}
		}
	}
	return step, nil
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
