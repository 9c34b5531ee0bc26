package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// subjects are the versions that the names select. A runtime without contract
// functions is an error if it was named.
func (s *session) subjects(ctx context.Context, names []string, o verifyOptions) ([]contract.Subject, error) {
	selected, err := s.selectVersions(ctx, names, o.since)
	if err != nil {
		return nil, err
	}
	if len(selected) == 0 {
		s.app.notef("nothing to verify: %s", nothingSelected(names, o.since))
		return nil, nil
	}
	place, err := s.place(ctx)
	if err != nil {
		return nil, err
	}
	env, err := o.variables()
	if err != nil {
		return nil, err
	}
	var subjects []contract.Subject
	for _, r := range s.project.Tree.Runtimes {
		if !slices.ContainsFunc(r.Versions, func(v manifest.Version) bool { return selected[versionKey{r.ID, v.Version}] }) {
			continue
		}
		folder := contract.FunctionsFolder(s.app.root, r)
		if _, err := os.Stat(folder); err != nil {
			if len(names) > 0 {
				return nil, fmt.Errorf("%s cannot be verified: it has no contract functions: %w", r.ID, err)
			}
			s.app.warnf("%s is not verified: it has no contract functions (%s)", r.ID, folder)
			continue
		}
		for _, v := range r.Versions {
			if selected[versionKey{r.ID, v.Version}] {
				subject := contract.NewSubject(s.app.root, r, v, func(image manifest.Image) []string { return s.candidates(image, place, o.pinned) })
				subject.Env = env
				subjects = append(subjects, subject)
			}
		}
	}
	if len(subjects) == 0 && o.since == "" {
		return nil, errors.New("nothing to verify: no runtime has a folder contract")
	}
	return subjects, nil
}

// nothingSelected says why a verification has nothing to do.
func nothingSelected(names []string, since string) string {
	why := "no version of a runtime has an image"
	if len(names) > 0 {
		why = "no version of a runtime runs an image of " + strings.Join(names, ", ")
	}
	if since != "" {
		why += " that is made of something else than at " + since
	}
	return why
}

type versionKey struct{ runtime, version string }

// selectVersions are the versions that names select: those of a runtime, and
// those that run an image that the name stands for. No names select all. With a
// revision, those that run an image which is made of something else than then.
func (s *session) selectVersions(ctx context.Context, names []string, since string) (map[versionKey]bool, error) {
	selected := map[versionKey]bool{}
	for _, r := range s.project.Tree.Runtimes {
		for _, v := range r.Versions {
			if len(names) == 0 {
				selected[versionKey{r.ID, v.Version}] = true
			}
		}
	}
	if len(names) > 0 {
		versions, err := s.project.Discovery.Versions(names)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			selected[versionKey{v.Runtime, v.Version}] = true
		}
	}
	if since == "" {
		return selected, nil
	}
	fed, err := s.versionsSince(ctx, since)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(selected, func(key versionKey, _ bool) bool { return !fed[key] })
	return selected, nil
}

// versionsSince are the versions that run an image which is made of something
// else than at a revision.
func (s *session) versionsSince(ctx context.Context, since string) (map[versionKey]bool, error) {
	edges, options, err := s.wire(ctx, nil, runOptions{since: since})
	if err != nil {
		return nil, err
	}
	changed, err := s.project.Changed(ctx, edges, options)
	if err != nil {
		return nil, err
	}
	fed := map[versionKey]bool{}
	for _, target := range s.project.Discovery.Targets {
		for _, feed := range target.Feeds {
			if changed[target.Name] {
				fed[versionKey{feed.Runtime, feed.Version}] = true
			}
		}
	}
	return fed, nil
}

// candidates are where the image of a phase is looked for: under its tag, as a
// build leaves it, then by the digest of the manifest.
func (s *session) candidates(image manifest.Image, place string, pinned bool) []string {
	ref := image.Ref
	var candidates []string
	if t := s.project.Discovery.Maker(image.Pointer); t != nil {
		candidates = []string{t.References(place)[0].String()}
		ref = ref.Relocate(place)
	}
	if pinned {
		candidates = nil
	}
	if ref.Digest != "" {
		return append(candidates, ref.WithTag("").WithDigest(ref.Digest).String())
	}
	if pinned || len(candidates) > 0 {
		return candidates
	}
	return []string{ref.String()}
}

// sourcesOf is what the images of the subjects are made of today, as far as this
// tree makes them. That it cannot be told keeps nobody from verifying.
func (s *session) sourcesOf(ctx context.Context, subjects []contract.Subject) *build.Prepared {
	makers := map[string]bool{}
	for _, u := range s.project.Discovery.Usages {
		if slices.ContainsFunc(subjects, func(subject contract.Subject) bool {
			return subject.Runtime == u.Runtime && subject.Version == u.Version
		}) {
			makers[u.Target] = true
		}
	}
	if len(makers) == 0 {
		return &build.Prepared{}
	}
	edges, options, err := s.wire(ctx, nil, runOptions{})
	if err == nil {
		var today *build.Prepared
		if today, err = s.project.Fingerprint(ctx, edges, options, makers); err == nil {
			return today
		}
	}
	s.app.warnf("whether the images are made of today's sources is not known: %v", err)
	return &build.Prepared{}
}

// warnOlder says which of the images that were verified are not made of today's
// sources.
func (s *session) warnOlder(today *build.Prepared, document *contract.Document) {
	steps := map[string]build.PreparedStep{}
	for _, step := range today.Steps {
		steps[step.Name] = step
	}
	for _, verified := range document.Subjects {
		for _, image := range verified.Images {
			for _, u := range s.project.Discovery.Usages {
				if u.Runtime != verified.Runtime || u.Version != verified.Version || u.Phase != image.Phase || u.Target == "" {
					continue
				}
				if why := release.Older(steps[u.Target], image.Labels); why != "" {
					s.app.warnf("%s: the image of the %s phase, %s, %s: rtbuild build %s makes it anew", verified.Name(), image.Phase, image.Reference, why, u.Target)
				}
			}
		}
	}
}
