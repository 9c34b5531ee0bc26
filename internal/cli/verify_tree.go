package cli

import (
	"cmp"
	"context"
	"errors"
	"maps"
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
	edges, options, err := s.wire(ctx, names, runOptions{since: o.since})
	if err != nil {
		return nil, err
	}
	selected, err := s.project.SelectVersions(ctx, edges, options)
	if err != nil {
		return nil, err
	}
	if len(selected) == 0 {
		s.app.Notef("nothing to verify: %s", nothingSelected(names, o.since))
		return nil, nil
	}
	env, err := o.variables()
	if err != nil {
		return nil, err
	}
	subjects, without := s.project.Subjects(selected, func(image manifest.Image) []string {
		return s.project.References(image, options.Destination, o.pinned)
	})
	for _, name := range slices.SortedFunc(maps.Keys(without), func(a, b release.VersionName) int {
		return cmp.Or(strings.Compare(a.Runtime, b.Runtime), strings.Compare(a.Version, b.Version))
	}) {
		if len(names) > 0 {
			return nil, without[name]
		}
		s.app.Warnf("not verified: %v", without[name])
	}
	for i := range subjects {
		subjects[i].Env = env
	}
	if len(subjects) == 0 && o.since == "" {
		return nil, errors.New("nothing to verify: no runtime has a folder contract")
	}
	return subjects, nil
}

// nothingSelected says why a verification has nothing to do.
func nothingSelected(names []string, since string) string {
	images := strings.Join(names, ", ")
	switch {
	case since != "" && images != "":
		return "no version of a runtime that runs an image of " + images + " changed since " + since
	case since != "":
		return "no version of a runtime changed since " + since
	case images != "":
		return "no version of a runtime runs an image of " + images
	}
	return "no version of a runtime has an image"
}

// sourcesOf is what the images of the subjects are made of today, as far as this
// tree makes them. That it cannot be told keeps nobody from verifying.
func (s *session) sourcesOf(ctx context.Context, subjects []contract.Subject) *build.Prepared {
	built := map[string]bool{}
	for _, u := range s.project.Discovery.Usages {
		if slices.ContainsFunc(subjects, func(subject contract.Subject) bool {
			return subject.Runtime == u.Runtime && subject.Version == u.Version
		}) {
			built[u.Target] = true
		}
	}
	if len(built) == 0 {
		return &build.Prepared{}
	}
	edges, options, err := s.wire(ctx, nil, runOptions{})
	if err == nil {
		var today *build.Prepared
		if today, err = s.project.Fingerprint(ctx, edges, options, built); err == nil {
			return today
		}
	}
	s.app.Warnf("whether the images are made of today's sources is not known: %v", err)
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
				if why := steps[u.Target].Older(image.Labels); why != "" {
					s.app.Warnf("%s: the image of the %s phase, %s, %s: rtbuild build %s makes it anew", verified.Name(), image.Phase, image.Reference, why, u.Target)
				}
			}
		}
	}
}
