package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/internal/edge/engine"
	"github.com/rtbuild/rtbuild/pkg/build"
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
	// pushed are this run's images by target: references by digest.
	pushed map[string]string
}

var _ release.Gate = (*contractGate)(nil)

func newContractGate(s *session, result *runResult) *contractGate {
	g := &contractGate{session: s, place: result.place, pushed: map[string]string{}}
	for _, out := range result.outcomes {
		if out.Status.Done() {
			name := out.Target.References(result.place)[0]
			g.pushed[out.Target.Name] = name.WithTag("").WithDigest(out.Digest).String()
		}
	}
	return g
}

// Admit implements release.Gate.
func (g *contractGate) Admit(ctx context.Context, candidates []release.Candidate) []error {
	verdicts, err := g.verify(ctx, candidates)
	errs := make([]error, len(candidates))
	for i, c := range candidates {
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
func (g *contractGate) verify(ctx context.Context, candidates []release.Candidate) (map[versionKey]error, error) {
	fed := map[versionKey]bool{}
	for _, c := range candidates {
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
			subject := contract.NewSubject(g.session.app.root, r, v, g.references)
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

// references are where the image of a phase is looked for: this run's, else
// what the manifest names.
func (g *contractGate) references(image manifest.Image) []string {
	if t := g.session.project.Discovery.Maker(image.Pointer); t != nil && g.pushed[t.Name] != "" {
		return []string{g.pushed[t.Name]}
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

// canVerify fails before anything is built if no engine runs containers.
func (s *session) canVerify(ctx context.Context, prepared *build.Prepared) error {
	if !slices.ContainsFunc(prepared.Steps, func(step build.PreparedStep) bool { return !step.Fresh() }) {
		return nil
	}
	containers, err := s.openGateEngine(ctx)
	if err != nil {
		return err
	}
	return containers.Close()
}
