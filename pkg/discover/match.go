package discover

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A usage is an image of a phase, on its way to a target.
type usage struct {
	Usage
	// versions of the runtime, for telling a tag that names another version.
	versions map[string]bool
}

// version is the version whose Dockerfile makes the image: the one that the
// tag names, else the one that the image is in.
func (u *usage) version() string {
	if u.versions[u.Ref.Tag] {
		return u.Ref.Tag
	}
	return u.Version
}

// A claim says that a Dockerfile makes the image of a usage.
type claim struct {
	usage      *usage
	dockerfile string
	context    string
	kind       Kind
	explicit   bool // the manifest's build field says so
	args       map[string]string
	stage      string
}

// A matcher matches Dockerfiles with images.
type matcher struct {
	files  map[string][]file // by runtime folder
	usages []*usage
	// kinds and homes are by repository: what kind of image it holds, and the
	// folders that may have its Dockerfiles.
	kinds map[string]Kind
	homes map[string][]string
	// namespaces are those that this tree's runtime images live in.
	namespaces map[string]bool

	claims      []claim
	targets     []*Target
	undecided   []Undecided
	isUndecided map[*usage]bool
}

func newMatcher(tree *manifest.Tree, files map[string][]file) *matcher {
	m := &matcher{files: files, kinds: map[string]Kind{}, homes: map[string][]string{}, namespaces: map[string]bool{}, isUndecided: map[*usage]bool{}}
	for _, r := range tree.Runtimes {
		versions := map[string]bool{}
		for _, v := range r.Versions {
			versions[v.Version] = true
		}
		for _, v := range r.Versions {
			for _, image := range v.Images {
				u := &usage{versions: versions}
				u.Field = Field{Runtime: r.ID, Version: v.Version, Phase: image.Phase, Pointer: image.Pointer, Ref: image.Ref}
				u.Image, u.Folder = image, r.Folder
				m.usages = append(m.usages, u)
			}
		}
	}
	m.classify()
	return m
}

// buildable tells whether this tree may build the usage's image at all.
func buildable(u *usage) bool {
	if u.Ref.Name == "" || u.Image.Build != nil && u.Image.Build.External {
		return false
	}
	return !u.Ref.Official() || u.Image.Build != nil
}

// classify finds the kind and the home folders of every repository. A
// repository that a runtime phase names holds runtime images; NAME-init of
// such a repository, and one that only other phases name, holds init images.
// Its home is where the runtime that it belongs to lives, so that a runtime
// which borrows another's image does not lend its own Dockerfiles to it.
func (m *matcher) classify() {
	runtimeHomes, otherHomes := map[string][]string{}, map[string][]string{}
	for _, u := range m.usages {
		if !buildable(u) {
			continue
		}
		homes := otherHomes
		if u.Phase == manifest.RuntimePhase {
			homes = runtimeHomes
			m.namespaces[u.Ref.Namespace()] = true
		}
		repository := u.Ref.Repository()
		if !slices.Contains(homes[repository], u.Folder) {
			homes[repository] = append(homes[repository], u.Folder)
		}
	}
	for repository, folders := range runtimeHomes {
		m.kinds[repository], m.homes[repository] = KindRuntime, folders
	}
	for _, homes := range []map[string][]string{runtimeHomes, otherHomes} {
		for repository, folders := range homes {
			owner, isInit := strings.CutSuffix(repository, "-init")
			if isInit && runtimeHomes[owner] != nil {
				m.kinds[repository], m.homes[repository] = KindInit, m.having(KindInit, runtimeHomes[owner], folders)
			} else if runtimeHomes[repository] == nil {
				m.kinds[repository], m.homes[repository] = KindInit, folders
			}
		}
	}
}

// having returns the first of the folder lists that has a Dockerfile of the
// kind, else the last.
func (m *matcher) having(kind Kind, lists ...[]string) []string {
	for _, folders := range lists {
		for _, folder := range folders {
			if slices.ContainsFunc(m.files[folder], func(f file) bool { return f.kind == kind }) {
				return folders
			}
		}
	}
	return lists[len(lists)-1]
}

// matchUsages finds the Dockerfile of every image that this tree builds.
func (m *matcher) matchUsages() {
	for _, u := range m.usages {
		if !buildable(u) || u.Folder == "" {
			continue
		}
		if spec := u.Image.Build; spec != nil {
			m.claims = append(m.claims, m.explicit(u, spec))
			continue
		}
		if !slices.Contains(m.homes[u.Ref.Repository()], u.Folder) {
			continue
		}
		kind := m.kinds[u.Ref.Repository()]
		candidates := choose(m.files[u.Folder], kind, u.version(), u.Ref.Tag)
		if len(candidates) > 1 {
			m.reject(u, candidates[0], candidates, fmt.Sprintf("%d Dockerfiles could make %s for %s %s", len(candidates), u.Ref.Name, u.Runtime, u.Version))
			continue
		}
		if len(candidates) == 1 {
			m.claims = append(m.claims, claim{usage: u, dockerfile: candidates[0], context: u.Folder, kind: kind})
		}
	}
}

func (m *matcher) explicit(u *usage, spec *manifest.BuildSpec) claim {
	c := claim{usage: u, context: path.Join(u.Folder, spec.Context), kind: m.kinds[u.Ref.Repository()], explicit: true, args: spec.Args, stage: spec.Target}
	if spec.Dockerfile != "" {
		c.dockerfile = path.Join(u.Folder, spec.Dockerfile)
		return c
	}
	if candidates := choose(m.files[u.Folder], c.kind, u.version(), u.Ref.Tag); len(candidates) > 0 {
		c.dockerfile = candidates[0]
	} else {
		c.dockerfile = path.Join(u.Folder, "Dockerfile")
	}
	return c
}

// choose picks the Dockerfile of a kind and version: the variant that the
// tag names ("8-opt": Dockerfile.8.opt), else the version's own, else the
// unversioned one. Several results are candidates among which the names do
// not decide.
func choose(files []file, kind Kind, version, tag string) []string {
	var named, own, variants, unversioned []string
	for _, f := range files {
		switch {
		case f.kind != kind:
		case f.version == version && f.variant != "" && tag == version+"-"+f.variant:
			named = append(named, f.path)
		case f.version == version && f.variant == "" && version != "":
			own = append(own, f.path)
		case f.version == version && version != "":
			variants = append(variants, f.path)
		case f.version == "" && f.variant == "":
			unversioned = append(unversioned, f.path)
		}
	}
	switch {
	case len(named) > 0:
		return named
	case len(own) > 0:
		return own
	}
	return append(unversioned, variants...)
}

const decideHint = "; let the manifest decide with a hidden field beside the image, build:: { dockerfile: '…' }"

func (m *matcher) reject(u *usage, dockerfile string, candidates []string, reason string) {
	m.isUndecided[u] = true
	for i, known := range m.undecided {
		if known.Dockerfile == dockerfile && slices.Equal(known.Candidates, candidates) {
			m.undecided[i].usages = append(known.usages, u.Usage)
			return
		}
	}
	m.undecided = append(m.undecided, Undecided{Dockerfile: dockerfile, Candidates: candidates, Reason: reason + decideHint, usages: []Usage{u.Usage}})
}
