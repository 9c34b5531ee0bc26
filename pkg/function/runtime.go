package function

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/nearest"
)

// A Runtime is one version of a runtime: what its functions are made with.
type Runtime struct {
	// ID and Version are what users type ("python", "3.13"); together they are
	// FUNC_RUNTIME.
	ID, Version string
	// Phases are what the manifest says of each phase, the runtime phase at
	// least.
	Phases []Phase
	// FileNameSuffix is the extension of source files (".py").
	FileNameSuffix string
	// DepName is the dependency file's name; empty if the runtime takes none.
	DepName string
}

// A Phase is one phase of a Runtime.
type Phase struct {
	Phase manifest.Phase `json:"phase"`
	// References are where the image is looked for: the first that the engine
	// has, else the last one is pulled.
	References []string `json:"-"`
	Command    string   `json:"-"`
	// Env is the phase's in the manifest.
	Env map[string]string `json:"-"`
}

// NewRuntime is a version of a manifest's runtime, whose images are found by
// what references says of each.
func NewRuntime(r manifest.Runtime, v manifest.Version, references func(manifest.Image) []string) Runtime {
	made := Runtime{ID: r.ID, Version: v.Version, FileNameSuffix: r.FileNameSuffix, DepName: r.DepName}
	for _, image := range v.Images {
		made.Phases = append(made.Phases, Phase{Phase: image.Phase, References: references(image), Command: image.Command, Env: image.Env})
	}
	return made
}

// FindRuntime is the version of a runtime that users call by this name
// ("python3.13"). The error names those that may have been meant, and all that
// there are.
func FindRuntime(runtimes []manifest.Runtime, name string) (manifest.Runtime, manifest.Version, error) {
	var known []string
	for _, r := range runtimes {
		for _, v := range r.Versions {
			if r.ID+v.Version == name {
				return r, v, nil
			}
			known = append(known, r.ID+v.Version)
		}
	}
	slices.Sort(known)
	return manifest.Runtime{}, manifest.Version{}, fmt.Errorf("there is no runtime %q%s (there are: %s)", name, nearest.Question(name, known), strings.Join(known, ", "))
}

// Name is what users type: "python3.13".
func (r Runtime) Name() string { return r.ID + r.Version }

// Phase is the runtime's phase of this kind, or nil.
func (r Runtime) Phase(kind manifest.Phase) *Phase {
	for i := range r.Phases {
		if r.Phases[i].Phase == kind {
			return &r.Phases[i]
		}
	}
	return nil
}
