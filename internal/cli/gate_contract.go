package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/internal/edge/engine"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// A contractGate runs the contract suite on every version of a runtime that a
// candidate feeds, in the images of this run. A version that breaks the
// contract refuses all candidates that feed it. An image that feeds none, as
// one that others are built from, is admitted: what is built from it is asked
// for itself.
type contractGate struct {
	session *session
	place   string
}

var _ release.Gate = (*contractGate)(nil)

// Ready implements release.Gate: an engine must run containers.
func (g *contractGate) Ready(ctx context.Context) error {
	containers, err := g.session.openGateEngine(ctx)
	if err != nil {
		return err
	}
	return containers.Close()
}

// Admit implements release.Gate.
func (g *contractGate) Admit(ctx context.Context, admission release.Admission) []error {
	verdicts, err := g.verify(ctx, admission)
	errs := make([]error, len(admission.Candidates))
	for i, c := range admission.Candidates {
		errs[i] = err
		for _, key := range versionsFed(c) {
			if err == nil {
				errs[i] = errors.Join(errs[i], verdicts[key])
			}
		}
	}
	return errs
}

// versionsFed are the versions that a candidate feeds, each once.
func versionsFed(c release.Candidate) []versionKey {
	var keys []versionKey
	for _, feed := range c.Target.Feeds {
		if key := (versionKey{feed.Runtime, feed.Version}); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// verify verifies the versions that the candidates feed, each once.
func (g *contractGate) verify(ctx context.Context, admission release.Admission) (map[versionKey]error, error) {
	fed := map[versionKey]bool{}
	for _, c := range admission.Candidates {
		for _, key := range versionsFed(c) {
			fed[key] = true
		}
	}
	verdicts := map[versionKey]error{}
	var keys []versionKey
	var subjects []contract.Subject
	for _, r := range g.session.project.Tree.Runtimes {
		for _, v := range r.Versions {
			key := versionKey{r.ID, v.Version}
			if !fed[key] {
				continue
			}
			subject := contract.NewSubject(g.session.app.root, r, v, func(image manifest.Image) []string { return g.references(image, admission.Images) })
			if _, err := os.Stat(subject.Functions); err != nil {
				verdicts[key] = fmt.Errorf("%s has no contract functions to verify it with: %w; docs/CONTRACT.md says what they are", subject, err)
				continue
			}
			keys = append(keys, key)
			subjects = append(subjects, subject)
		}
	}
	if len(subjects) == 0 {
		return verdicts, nil
	}
	containers, err := g.session.openGateEngine(ctx)
	if err != nil {
		return nil, err
	}
	document, err := g.session.runSuite(ctx, containers, subjects, nil)
	if err != nil {
		return nil, err
	}
	for i, report := range document.Subjects {
		verdicts[keys[i]] = report.Err()
	}
	return verdicts, g.show(document)
}

// references are where the image of a phase is looked for: among this run's, by
// target, else what the manifest names.
func (g *contractGate) references(image manifest.Image, images map[string]string) []string {
	if t := g.session.project.Discovery.Maker(image.Pointer); t != nil && images[t.Name] != "" {
		return []string{images[t.Name]}
	}
	return g.session.candidates(image, g.place, image.Ref.Digest != "")
}

// show prints what came of it where people look: stdout is the release's.
func (g *contractGate) show(document *contract.Document) error {
	app := g.session.app
	if err := app.printVerifyLogs(document.Subjects); err != nil || app.flags.quiet {
		return err
	}
	return verifyTables(app.streams.Err, document, app.flags.verbose)
}

// openGateEngine connects to the engine that runs the images of a release: the
// one that built them if it runs containers, else the Docker engine that the
// environment names.
func (s *session) openGateEngine(ctx context.Context) (*engine.Containers, error) {
	builder := s.builder
	if !strings.HasPrefix(builder, "docker://") {
		builder = "auto"
	}
	containers, err := s.openContainers(ctx, builder)
	if err != nil {
		return nil, fmt.Errorf("--verify runs the images: %w", err)
	}
	return containers, nil
}
