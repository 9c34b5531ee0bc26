// Package discover knows what there is in a repository of runtimes: it finds the
// Dockerfiles, matches them with the images that the manifests name, and says what
// names on a command line select.
package discover

import (
	"path"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A Kind is what an image is for.
type Kind string

const (
	// KindRuntime images run functions.
	KindRuntime Kind = "runtime"
	// KindInit images install dependencies or compile.
	KindInit Kind = "init"
	// KindSupport images are named by no manifest; other images are built
	// from them.
	KindSupport Kind = "support"
)

// A Target is one image to build.
type Target struct {
	// Name is unique in a plan: the last component of the repository and the
	// first tag ("python-init:3.13"); the whole repository where that is not
	// unique; the Dockerfile for an image that nothing names.
	Name string
	// Repository is the image's repository as the manifest writes it, without
	// tag and digest. It is the zero value for a Dockerfile whose
	// image nothing uses: it can be built but not pushed.
	Repository reference.Reference
	// Tags are the tags the image gets, at least one where Repository is set.
	Tags []string
	// Context and Dockerfile are paths relative to the root, with forward
	// slashes.
	Context, Dockerfile string
	Kind                Kind
	Args                map[string]string
	// Stage is the Dockerfile's stage to build; empty for the last one.
	Stage string
	// DependsOn are the names of targets that this image is built from.
	DependsOn []string
	// UsedBy are the manifest fields that carry the image's digest.
	UsedBy []Field
}

// A Field is a field of the manifests that names an image.
type Field struct {
	Runtime, Version string
	Phase            manifest.Phase
	// Pointer is the JSON pointer of the reference in the evaluated document.
	Pointer string
	// Ref is the reference as the manifest has it now.
	Ref reference.Reference
}

// References are the target's references with each of its tags, relocated to
// destination (HOST[/PREFIX]; empty leaves them as the manifests have them).
func (t *Target) References(destination string) []reference.Reference {
	refs := make([]reference.Reference, len(t.Tags))
	for i, tag := range t.Tags {
		refs[i] = t.Repository.WithTag(tag).Relocate(destination)
	}
	return refs
}

// Folder is the folder that the Dockerfile lies in.
func (t *Target) Folder() string { return path.Dir(t.Dockerfile) }

// shortName is the name a target gets if no other has it.
func (t *Target) shortName() string {
	if t.Repository.Name == "" {
		return t.Dockerfile
	}
	return path.Base(t.Repository.Name) + ":" + t.Tags[0]
}

func (t *Target) longName() string {
	if t.Repository.Name == "" {
		return t.Dockerfile
	}
	return t.Repository.Name + ":" + t.Tags[0]
}

// An Undecided Dockerfile is one that the conventions give to no image, or to
// more than one. It is not built.
type Undecided struct {
	Dockerfile string `json:"dockerfile"`
	// Candidates are the repositories it could make, or the Dockerfiles that
	// could make the same image.
	Candidates []string `json:"candidates"`
	// Reason says why, and how the manifest can decide.
	Reason string `json:"reason"`

	usages []Usage // the images that it would make
}

func (u Undecided) String() string {
	return u.Dockerfile + ": " + u.Reason + " (candidates: " + strings.Join(u.Candidates, ", ") + ")"
}

// An Origin says where the image of a phase comes from.
type Origin string

const (
	// OriginBuilt means that a target of this tree makes it.
	OriginBuilt Origin = "built"
	// OriginKept means that it is in one of this tree's namespaces and pinned, but no
	// Dockerfile makes it any more. It stays as it is pinned.
	OriginKept Origin = "kept"
	// OriginExternal means that it belongs to others.
	OriginExternal Origin = "external"
	// OriginUndecided means that its Dockerfile is among the undecided.
	OriginUndecided Origin = "undecided"
	// OriginMissing means that it is in one of this tree's namespaces, has no digest,
	// and no Dockerfile makes it: a release could never pin it.
	OriginMissing Origin = "missing"
)

// A Usage is an image of a phase and where it comes from.
type Usage struct {
	Field
	Origin Origin
	// Target is the name of the target that makes the image, for OriginBuilt.
	Target string
	// Folder is the runtime's, relative to the root; "" if it has none.
	Folder string
	// Image is the manifest's entry.
	Image manifest.Image
}

// tag is the tag that the image has or is to get.
func (u Usage) tag() string {
	if u.Ref.Tag != "" {
		return u.Ref.Tag
	}
	return u.Version
}
