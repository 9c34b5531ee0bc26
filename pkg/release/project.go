// Package release is the pipeline: it loads a repository of runtimes, checks
// it, builds and pushes its images, pins their digests in the manifests and
// makes the ConfigMap. What reaches outside comes in through interfaces.
package release

import (
	"context"
	"fmt"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/check"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// A Project is a repository of runtimes, loaded.
type Project struct {
	Tree      *manifest.Tree
	Discovery *discover.Discovery
	// Platforms are what images are planned for, "os/arch[/variant]" each; those of
	// the settings at first. build.HostPlatform if there are none.
	Platforms []string

	evaluator provenance.Evaluator
	config    *config.Config
}

// Open loads the repository at root. What is wrong inside the manifests is
// left to Check and Tree.Valid.
func Open(ctx context.Context, ev provenance.Evaluator, root string, c *config.Config) (*Project, error) {
	tree, err := manifest.Load(ctx, ev, manifest.Options{Root: root, Entry: c.Manifest, Folders: c.Roots})
	if err != nil {
		return nil, err
	}
	opts := discover.Options{Folders: c.Roots}
	for _, image := range c.Images {
		opts.Support = append(opts.Support, discover.Support(image))
	}
	discovery, err := discover.Discover(tree, opts)
	if err != nil {
		return nil, err
	}
	return &Project{Tree: tree, Discovery: discovery, evaluator: ev, config: c, Platforms: c.Platforms}, nil
}

// Plan puts the named targets, all that the manifests use if none are named, in
// order, with all that they are built from. A name without a target is an
// error.
func (p *Project) Plan(names []string) (*build.Plan, error) {
	targets, err := p.Discovery.Select(names)
	if err != nil {
		return nil, err
	}
	return p.PlanTargets(targets)
}

// PlanTargets puts targets in order, with all that they are built from.
func (p *Project) PlanTargets(targets []*discover.Target) (*build.Plan, error) {
	everything := p.Discovery.Targets
	for _, t := range targets {
		if len(t.Tags) == 0 {
			everything = append(everything[:len(everything):len(everything)], t)
		}
	}
	return build.NewPlan(p.Tree.Root, everything, targets, p.Platforms)
}

// Releasable returns an error if what the names select, everything if there
// are none, cannot be released: an image that has no digest and that no
// Dockerfile makes could never be pinned. What is not selected may stay so.
func (p *Project) Releasable(names []string) error {
	if err := p.Tree.Valid(); err != nil {
		return err
	}
	selected, err := p.Discovery.Find(names)
	if err != nil {
		return err
	}
	if findings := p.Unpinnable(selected.Usages); len(findings) > 0 {
		return &manifest.InvalidError{Findings: findings}
	}
	return nil
}

// Unpinnable are errors for those of the images that have no digest, and for
// which no Dockerfile is certain.
func (p *Project) Unpinnable(usages []discover.Usage) []manifest.Finding {
	var findings []manifest.Finding
	for _, u := range usages {
		f := manifest.Finding{Severity: manifest.SeverityError, Rule: check.RuleMissingImage, Position: u.Image.Position, Subject: check.Subject(u)}
		switch {
		case u.Origin == discover.OriginMissing:
			f.Message = fmt.Sprintf("%s has no digest and no Dockerfile makes it: add one, or pin it (rtbuild pin %s=sha256:…)", u.Ref, u.Ref.WithoutDigest())
		case u.Origin == discover.OriginUndecided && u.Ref.Digest == "":
			f.Message = fmt.Sprintf("%s has no digest, and which Dockerfile makes it is undecided: rtbuild check says why", u.Ref)
		default:
			continue
		}
		findings = append(findings, f)
	}
	return findings
}

// Relocated are the references of the images that this tree builds at a destination
// (HOST[/PREFIX]), by the JSON pointers of those in the manifests; none at no
// destination.
func (p *Project) Relocated(destination string) map[string]string {
	relocated := map[string]string{}
	for _, u := range p.Discovery.Usages {
		if u.Origin == discover.OriginBuilt && destination != "" {
			relocated[u.Pointer] = u.Ref.Relocate(destination).String()
		}
	}
	return relocated
}
