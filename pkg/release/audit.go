package release

import (
	"context"
	"errors"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
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

// Sound tells whether nothing is wrong with the image: it exists.
func (a Audited) Sound() bool { return a.Exists && a.Error == "" }

// Audit asks for every pinned image of the manifests. Those that this tree
// builds are looked for at the options' destination. Nothing is written.
func (p *Project) Audit(ctx context.Context, e Edges, o Options) ([]Audited, error) {
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
	return audits, nil
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
