package release

import (
	"context"
	"errors"

	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A ContractGate runs the contract suite on every version of a runtime that a
// candidate is used by, in the images of the release. A version that breaks the
// contract refuses all candidates that it uses. An image that none uses, as
// one that others are built from, is admitted: what is built from it is asked
// for itself.
type ContractGate struct {
	Project *Project
	// Destination is where the release pushes to.
	Destination string
	// Reach is an error if no engine runs containers.
	Reach func(ctx context.Context) error
	// Suite verifies subjects and tells people what came of it. The document has a
	// report for each, in their order.
	Suite func(ctx context.Context, subjects []contract.Subject) (*contract.Document, error)
}

var _ Gate = (*ContractGate)(nil)

// Ready implements Gate.
func (g *ContractGate) Ready(ctx context.Context) error { return g.Reach(ctx) }

// Admit implements Gate.
func (g *ContractGate) Admit(ctx context.Context, admission Admission) []error {
	verdicts, err := g.verify(ctx, admission)
	errs := make([]error, len(admission.Candidates))
	for i, c := range admission.Candidates {
		errs[i] = err
		for _, name := range versionsFed(c.Target) {
			if err == nil {
				errs[i] = errors.Join(errs[i], verdicts[name])
			}
		}
	}
	return errs
}

// verify verifies the versions that use the candidates, each once.
func (g *ContractGate) verify(ctx context.Context, admission Admission) (map[VersionName]error, error) {
	fed := map[VersionName]bool{}
	for _, c := range admission.Candidates {
		for _, name := range versionsFed(c.Target) {
			fed[name] = true
		}
	}
	subjects, verdicts := g.Project.Subjects(fed, func(image manifest.Image) []string { return g.references(image, admission.Images) })
	if len(subjects) == 0 {
		return verdicts, nil
	}
	document, err := g.Suite(ctx, subjects)
	if err != nil {
		return nil, err
	}
	for i, report := range document.Subjects {
		verdicts[VersionName{subjects[i].Runtime, subjects[i].Version}] = report.Err()
	}
	return verdicts, nil
}

// references are where the image of a phase is looked for: among the release's,
// by target, else what the manifest names.
func (g *ContractGate) references(image manifest.Image, images map[string]string) []string {
	if t := g.Project.Discovery.TargetOf(image.Pointer); t != nil && images[t.Name] != "" {
		return []string{images[t.Name]}
	}
	return g.Project.References(image, g.Destination, image.Ref.Digest != "")
}
