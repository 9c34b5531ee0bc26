package release

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// An Audited is a pinned image and what the registry has of it.
type Audited struct {
	Runtime string `json:"runtime"`
	Version string `json:"version"`
	Phase   string `json:"phase"`
	// Image is the reference that was asked for.
	Image string `json:"image"`
	// Exists tells whether the registry still has the digest.
	Exists    bool     `json:"exists"`
	Platforms []string `json:"platforms"`
	// Fingerprint is that of the inputs that made the image, if it says so.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Current tells whether today's inputs have that fingerprint; nil where
	// that is not known: the image does not say, or this tree does not build
	// it.
	Current *bool  `json:"current,omitempty"`
	Error   string `json:"error,omitempty"`
}

const (
	// AuditSchema is the name of the JSON schema of an AuditDocument.
	AuditSchema = "rtbuild.audit"
	// AuditVersion is the schema's.
	AuditVersion = 1
)

// An AuditDocument is what an audit came to.
type AuditDocument struct {
	report.Head
	// Registry is HOST[/PREFIX] where images of this tree were looked for; empty:
	// where the manifests say.
	Registry string `json:"registry,omitempty"`
	// Images are the pinned images, in the manifests' order.
	Images []Audited `json:"images"`
}

// Unsound is how many images cannot be pulled.
func (d *AuditDocument) Unsound() int {
	unsound := 0
	for _, image := range d.Images {
		if !image.Sound() {
			unsound++
		}
	}
	return unsound
}

// Sound tells whether nothing is wrong with the image: it exists.
func (a Audited) Sound() bool { return a.Exists && a.Error == "" }

// Audit asks for every pinned image of the manifests. Those that this tree
// builds are looked for at the options' destination. Nothing is written.
func (p *Project) Audit(ctx context.Context, e Edges, o Options) (*AuditDocument, error) {
	started := time.Now()
	today, err := p.Prepare(ctx, e, o)
	if err != nil {
		return nil, err
	}
	fingerprints := map[string]string{}
	for _, step := range today.Steps {
		fingerprints[step.Name] = step.Fingerprint
	}
	pinned := slices.DeleteFunc(slices.Clone(p.Discovery.Usages), func(u discover.Usage) bool { return u.Ref.Digest == "" })
	audits := make([]Audited, len(pinned))
	parallel.Each(len(pinned), parallel.Lookups, func(i int) {
		audits[i] = audit(ctx, e.Registry, o.Destination, pinned[i], fingerprints)
	})
	head := report.NewHead(AuditSchema, AuditVersion, started, time.Since(started))
	return &AuditDocument{Head: head, Registry: o.Destination, Images: audits}, nil
}

func audit(ctx context.Context, inspector Inspector, destination string, u discover.Usage, fingerprints map[string]string) Audited {
	ref := u.Ref
	if u.Origin == discover.OriginBuilt {
		ref = ref.Relocate(destination)
	}
	a := Audited{Runtime: u.Runtime, Version: u.Version, Phase: string(u.Phase), Image: ref.String(), Platforms: []string{}}
	image, err := inspector.Inspect(ctx, ref.WithTag("").WithDigest(ref.Digest).String())
	if errors.Is(err, reference.ErrNotFound) {
		return a
	}
	if err != nil {
		a.Error = err.Error()
		return a
	}
	a.Exists, a.Platforms, a.Fingerprint = true, image.Platforms, image.Labels[build.LabelFingerprint]
	if today := fingerprints[u.Target]; today != "" && a.Fingerprint != "" {
		current := today == a.Fingerprint
		a.Current = &current
	}
	return a
}
