// Package release is the pipeline: it loads a repository of runtimes, checks
// it, builds and pushes its images, pins their digests in the manifests and
// makes the ConfigMap. What reaches outside comes in through interfaces.
package release

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/buildcontext"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/configmap"
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

// OpenManifests loads the manifests of the repository at root alone: enough for
// ConfigMap at no destination. Nothing is traced to its source and no Dockerfile
// looked for, which takes longer than the rest.
func OpenManifests(ctx context.Context, ev provenance.Evaluator, root string, c *config.Config) (*Project, error) {
	tree, err := manifest.Load(ctx, ev, manifest.Options{Root: root, Entry: c.Manifest, Folders: c.Roots, Unlocated: true})
	if err != nil {
		return nil, err
	}
	return &Project{Tree: tree, Discovery: &discover.Discovery{}, evaluator: ev, config: c}, nil
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
		f := manifest.Finding{Severity: manifest.SeverityError, Position: u.Image.Position, Subject: subject(u)}
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

func subject(u discover.Usage) string {
	return strings.Join([]string{u.Runtime, u.Version, string(u.Phase)}, " ")
}

// unpinned says of an image that has no digest yet how it gets one; "" where
// that is an error already, or it has one.
func unpinned(u discover.Usage) string {
	how := ""
	switch {
	case u.Ref.Name == "" || u.Ref.Digest != "":
		return ""
	case u.Origin == discover.OriginBuilt:
		how = "a release pins it (rtbuild all --push), and so does rtbuild pin"
	case u.Origin == discover.OriginUndecided:
		how = "a release pins it once it is decided which Dockerfile makes it"
	case u.Origin == discover.OriginExternal && u.Ref.Tag != "":
		how = "it is a third party's, and no release pins it: rtbuild pin --external does"
	case u.Origin == discover.OriginExternal:
		how = fmt.Sprintf("it is a third party's, and no release pins it: rtbuild pin %s=sha256:… does, or give it a tag and use rtbuild pin --external", u.Ref)
	default:
		return ""
	}
	return fmt.Sprintf("%s has no digest; %s", u.Ref, how)
}

// Check lists everything wrong in the tree: in the manifests, in what the
// Dockerfiles make of them, and in the Dockerfiles.
func (p *Project) Check() []manifest.Finding {
	findings := append([]manifest.Finding(nil), p.Tree.Findings...)
	findings = append(findings, p.Tree.PastEOL(time.Now())...)
	for _, u := range p.Discovery.Usages {
		if message := unpinned(u); message != "" {
			findings = append(findings, manifest.Finding{Severity: manifest.SeverityWarning, Position: u.Image.Position, Subject: subject(u), Message: message})
		}
		if u.Origin == discover.OriginMissing {
			findings = append(findings, p.Unpinnable([]discover.Usage{u})...)
		}
	}
	for _, u := range p.Discovery.Undecided {
		findings = append(findings, p.finding(manifest.SeverityError, u.Dockerfile, "undecided: "+u.Reason+" (candidates: "+strings.Join(u.Candidates, ", ")+")"))
	}
	for _, t := range p.Discovery.Unused {
		findings = append(findings, p.finding(manifest.SeverityWarning, t.Dockerfile, "makes no image that a manifest names; it is built only on request: rtbuild build "+t.Dockerfile))
	}
	all := append(p.Discovery.Targets[:len(p.Discovery.Targets):len(p.Discovery.Targets)], p.Discovery.Unused...)
	for _, t := range all {
		if finding, ok := p.largeContext(t); ok {
			findings = append(findings, finding)
		}
	}
	if _, err := build.NewPlan(p.Tree.Root, all, all, p.Platforms); err != nil {
		for _, err := range split(err) {
			findings = append(findings, manifest.Finding{Severity: manifest.SeverityError, Message: err.Error()})
		}
	}
	manifest.SortFindings(findings)
	return findings
}

// largeContextSize is the size, in bytes, above which a build context is worth a
// warning.
const largeContextSize = 2 << 30

// largeContext warns of a context that holds a lot. What is wrong with one that
// cannot be read is said where it is built.
func (p *Project) largeContext(t *discover.Target) (manifest.Finding, bool) {
	dir, err := buildcontext.Open(filepath.Join(p.Tree.Root, t.Context), filepath.Join(p.Tree.Root, t.Dockerfile), "")
	if err != nil {
		return manifest.Finding{}, false
	}
	total, largest, err := dir.Size(context.Background())
	if err != nil || total <= largeContextSize {
		return manifest.Finding{}, false
	}
	var files []string
	for _, f := range largest {
		files = append(files, fmt.Sprintf("%s (%d MiB)", f.Path, f.Size>>20))
	}
	message := fmt.Sprintf("its build context %s holds %d MiB, the most of it in %s: hide what the image does not need in %s/.dockerignore", t.Context, total>>20, strings.Join(files, ", "), t.Context)
	return p.finding(manifest.SeverityWarning, t.Dockerfile, message), true
}

func (p *Project) finding(severity manifest.Severity, file, message string) manifest.Finding {
	return manifest.Finding{Severity: severity, Position: provenance.Position{File: p.Tree.Root + "/" + file}, Message: message}
}

// split takes a joined error apart.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// ConfigMap makes the ConfigMap of the manifests as they are. With a destination
// (HOST[/PREFIX]), the images that this tree builds are named there.
func (p *Project) ConfigMap(destination string, opts configmap.Options) (*configmap.ConfigMap, error) {
	if opts.Name == "" {
		opts.Name = p.config.ConfigMap.Name
	}
	if opts.Namespace == "" {
		opts.Namespace = p.config.ConfigMap.Namespace
	}
	opts.Data = p.config.ConfigMap.Data
	relocated := map[string]string{}
	for _, u := range p.Discovery.Usages {
		if u.Origin == discover.OriginBuilt && destination != "" {
			relocated[u.Pointer] = u.Ref.Relocate(destination).String()
		}
	}
	return configmap.New(p.Tree.JSON, relocated, opts)
}
