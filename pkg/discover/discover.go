package discover

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Options say what to look for beyond the manifests.
type Options struct {
	// Folders hold the runtime folders; manifest.DefaultFolders if empty.
	Folders []string
	// Support are images that no manifest names.
	Support []Support
}

// A Support is an image that no manifest names but that others are built
// from.
type Support struct {
	// Name is the target's name.
	Name string
	// Folder is the build context, relative to the root; Dockerfile is
	// relative to it, "Dockerfile" if empty.
	Folder, Dockerfile string
	// Repository and Tag are the image's; the tag is "latest" if empty.
	Repository, Tag string
}

// A Discovery is what a tree builds.
type Discovery struct {
	// Targets make the images that manifests name, and the support images.
	Targets []*Target
	// Unused are targets for Dockerfiles whose image nothing uses.
	Unused []*Target
	// Misnamed are files that are Dockerfiles by the looks of their names, which do
	// not say what they make, as no manifest does.
	Misnamed []string
	// Undecided are Dockerfiles that the conventions do not decide.
	Undecided []Undecided
	// Usages are the images of all phases, in the document's order.
	Usages []Usage
	// Base is the folder, relative to the root with forward slashes, that paths on a
	// command line may be relative to as well; empty for the root.
	Base string
}

// TargetOf is the target that makes the image at a JSON pointer of the evaluated
// document; nil if this tree does not make it.
func (d *Discovery) TargetOf(pointer string) *Target {
	for _, t := range d.Targets {
		if slices.ContainsFunc(t.UsedBy, func(f Field) bool { return f.Pointer == pointer }) {
			return t
		}
	}
	return nil
}

// Discover finds the Dockerfiles of a tree and matches them with the images
// that its manifests name. Which image a Dockerfile makes, the manifest
// decides: a phase's reference gives the repository and, by its tag or else the
// version that it is in, the version.
func Discover(tree *manifest.Tree, opts Options) (*Discovery, error) {
	folders := opts.Folders
	if len(folders) == 0 {
		folders = manifest.DefaultFolders()
	}
	files, misnamed, err := scan(tree.Root, folders, declaredVersions(tree))
	if err != nil {
		return nil, err
	}
	m := newMatcher(tree, files)
	m.matchUsages()
	m.decide()
	d := &Discovery{Targets: m.targets, Undecided: m.undecided}
	for _, s := range opts.Support {
		target, err := s.target()
		if err != nil {
			return nil, err
		}
		d.Targets = append(d.Targets, target)
	}
	d.Unused = m.unused(d)
	d.Misnamed = slices.DeleteFunc(misnamed, func(name string) bool {
		return slices.ContainsFunc(d.Targets, func(t *Target) bool { return t.Dockerfile == name })
	})
	if err := nameTargets(d); err != nil {
		return nil, err
	}
	d.Usages = m.resolve(d.Targets)
	return d, nil
}

func declaredVersions(tree *manifest.Tree) map[string]map[string]bool {
	versions := map[string]map[string]bool{}
	for _, r := range tree.Runtimes {
		if versions[r.Folder] == nil {
			versions[r.Folder] = map[string]bool{}
		}
		for _, v := range r.Versions {
			versions[r.Folder][v.Version] = true
		}
	}
	return versions
}

func (s Support) target() (*Target, error) {
	ref, err := reference.Parse(s.Repository)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Name, err)
	}
	if ref.Tag != "" || ref.Digest != "" {
		return nil, fmt.Errorf("image %s: repository %q: write the tag apart, as tag", s.Name, s.Repository)
	}
	name, tag := s.Dockerfile, s.Tag
	if name == "" {
		name = "Dockerfile"
	}
	if tag == "" {
		tag = "latest"
	}
	return &Target{
		Name:       s.Name,
		Repository: ref,
		Tags:       []string{tag},
		Context:    path.Clean(s.Folder),
		Dockerfile: path.Join(s.Folder, name),
		Kind:       KindSupport,
	}, nil
}

// nameTargets gives every target a name of its own.
func nameTargets(d *Discovery) error {
	all := slices.Concat(d.Targets, d.Unused)
	count := map[string]int{}
	for _, t := range all {
		count[t.shortName()]++
	}
	taken := map[string]*Target{}
	for _, t := range all {
		if t.Name == "" {
			t.Name = t.shortName()
			if count[t.Name] > 1 {
				t.Name = t.longName()
			}
		}
		if other := taken[t.Name]; other != nil {
			return fmt.Errorf("two images have the name %s: %s and %s; rename one", t.Name, other.Dockerfile, t.Dockerfile)
		}
		taken[t.Name] = t
	}
	return nil
}

// resolve says for every image of every phase where it comes from, and records
// on each target what it is used by. An image is made by the target that has its
// repository and its tag, or, where the reference has no tag, its version.
func (m *matcher) resolve(targets []*Target) []Usage {
	byReference := map[string]*Target{}
	for _, t := range targets {
		t.UsedBy = nil
		for _, tag := range t.Tags {
			byReference[t.Repository.Repository()+":"+tag] = t
		}
	}
	usages := make([]Usage, len(m.usages))
	for i, u := range m.usages {
		usages[i] = u.Usage
		target := byReference[u.Ref.Repository()+":"+u.tag()]
		switch {
		case u.Image.Build != nil && u.Image.Build.External, u.Ref.Name == "":
			usages[i].Origin = OriginExternal
		case target != nil:
			usages[i].Origin, usages[i].Target = OriginBuilt, target.Name
			target.UsedBy = append(target.UsedBy, u.Field)
		case m.isUndecided[u]:
			usages[i].Origin = OriginUndecided
		case u.Ref.Official() || !m.namespaces[u.Ref.Namespace()]:
			usages[i].Origin = OriginExternal
		case u.Ref.Digest == "":
			usages[i].Origin = OriginMissing
		default:
			usages[i].Origin = OriginKept
		}
	}
	return usages
}

// unused makes targets of the Dockerfiles in runtime folders whose image nothing
// uses and that are not undecided either.
func (m *matcher) unused(d *Discovery) []*Target {
	used := map[string]bool{}
	for _, t := range d.Targets {
		used[t.Dockerfile] = true
	}
	for _, u := range d.Undecided {
		used[u.Dockerfile] = true
		for _, candidate := range u.Candidates {
			used[candidate] = true
		}
	}
	var unused []*Target
	for _, folder := range slices.Sorted(maps.Keys(m.files)) {
		for _, f := range m.files[folder] {
			if !used[f.path] {
				unused = append(unused, &Target{Context: folder, Dockerfile: f.path, Kind: f.kind})
			}
		}
	}
	return unused
}

// sortVersions orders "3.9" before "3.13".
func sortVersions(versions []string) {
	sort.SliceStable(versions, func(i, j int) bool {
		a, b := strings.Split(versions[i], "."), strings.Split(versions[j], ".")
		for k := 0; k < len(a) && k < len(b); k++ {
			if a[k] == b[k] {
				continue
			}
			if len(a[k]) != len(b[k]) {
				return len(a[k]) < len(b[k])
			}
			return a[k] < b[k]
		}
		return len(a) < len(b)
	})
}
