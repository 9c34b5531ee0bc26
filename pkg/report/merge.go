package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// Merge makes one report of those of several jobs, which each released a part
// of one tree. It starts with the first of them and ends with the last.
//
// Jobs may share targets: a parent that two of them needed. Of a target that
// several reports have, a failure counts most, then an image that was pushed,
// one that was there already, one that was built only, and least one that was
// not tried. Two digests or two fingerprints for one target are an error, and
// so are two registries, and two digests that a tag had before: the jobs did not release the
// same tree to the same registry at the same time. Errors name the reports by
// Source, or by number, the first being 1.
func Merge(reports ...*Report) (*Report, error) {
	if len(reports) == 0 {
		return nil, errors.New("merging reports: there are none")
	}
	var errs []error
	m := &merger{index: map[string]int{}}
	for i, r := range reports {
		source := r.source(i)
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", source, err))
		}
		if r.Registry != reports[0].Registry {
			errs = append(errs, fmt.Errorf("%s is of %s, and %s of %s: push to one registry in all jobs",
				reports[0].source(0), reports[0].registryName(), source, r.registryName()))
		}
		for _, t := range r.Targets {
			if err := m.add(t, source); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("merging reports: %w", err)
	}
	merged := span(reports)
	merged.Registry = reports[0].Registry
	merged.Engine = strings.Join(engines(reports), ", ")
	merged.Targets = append([]Target{}, m.targets...)
	merged.complete()
	return merged, nil
}

// A merger collects targets.
type merger struct {
	targets []Target
	// sources say where each of targets comes from.
	sources []string
	index   map[string]int
}

func (m *merger) add(t Target, source string) error {
	i, ok := m.index[t.Name]
	if !ok {
		m.index[t.Name] = len(m.targets)
		m.targets, m.sources = append(m.targets, t), append(m.sources, source)
		return nil
	}
	known := m.targets[i]
	if known.Fingerprint != "" && t.Fingerprint != "" && known.Fingerprint != t.Fingerprint {
		return fmt.Errorf("%s was made of different inputs: its fingerprint is %s in %s and %s in %s; run all jobs on one commit and one rtbuild.lock",
			t.Name, known.Fingerprint, m.sources[i], t.Fingerprint, source)
	}
	if known.Digest != "" && t.Digest != "" && known.Digest != t.Digest {
		hint := "build it in one job, or run both again: they find one image at the registry now"
		if !slices.Equal(known.Platforms, t.Platforms) {
			hint = "build all of its platforms in one job"
		}
		return fmt.Errorf("%s has the digest %s in %s and %s in %s: %s",
			t.Name, known.Digest, m.sources[i], t.Digest, source, hint)
	}
	if err := sameTags(known, t, m.sources[i], source); err != nil {
		return err
	}
	if t.weight() > known.weight() {
		m.targets[i], m.sources[i] = t, source
	}
	return nil
}

// sameTags wants a tag of one target to have pointed to one image when the jobs
// began: else somebody else moved it in between. That it pointed to the image
// already says that another job moved it there.
func sameTags(known, t Target, knownSource, source string) error {
	for _, a := range known.Tags {
		for _, b := range t.Tags {
			if a.Reference != b.Reference || a.Before == b.Before || a.Before == known.Digest || b.Before == t.Digest {
				continue
			}
			return fmt.Errorf("%s pointed to %s in %s and to %s in %s: somebody else moved it between the jobs; run all of them again",
				a.Reference, orNothing(a.Before), knownSource, orNothing(b.Before), source)
		}
	}
	return nil
}

func orNothing(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}

// weight orders what reports say of one target by how much it counts.
func (t *Target) weight() int {
	switch {
	case t.Status == build.StatusFailed:
		return 4
	case t.Pushed:
		return 3
	case t.Status == build.StatusFresh:
		return 2
	case t.Status == build.StatusBuilt:
		return 1
	}
	return 0
}

// span is a report without targets from the start of the first to the end of
// the last. It has the tool and the revision that are the same in all.
func span(reports []*Report) *Report {
	merged := &Report{Head: Head{Schema: Schema, Version: Version, Tool: reports[0].Tool, Revision: reports[0].Revision, Started: reports[0].Started}}
	for _, r := range reports {
		if r.Started.Before(merged.Started) {
			merged.Started = r.Started
		}
		if r.Tool != merged.Tool {
			merged.Tool = ""
		}
		if r.Revision != merged.Revision {
			merged.Revision = ""
		}
	}
	for _, r := range reports {
		merged.Seconds = max(merged.Seconds, r.Started.Sub(merged.Started).Seconds()+r.Seconds)
	}
	return merged
}

// engines are the different engines, in the order of the reports.
func engines(reports []*Report) []string {
	var names []string
	for _, r := range reports {
		if r.Engine != "" && !slices.Contains(names, r.Engine) {
			names = append(names, r.Engine)
		}
	}
	return names
}

// source names the i-th report of a list for messages.
func (r *Report) source(i int) string {
	if r.Source != "" {
		return r.Source
	}
	return fmt.Sprintf("report %d", i+1)
}

// registryName names the registry for messages.
func (r *Report) registryName() string {
	if r.Registry == "" {
		return "the registries that the manifests name"
	}
	return r.Registry
}
