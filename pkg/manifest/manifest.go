// Package manifest loads and validates the Jsonnet manifests of a repository
// of function runtimes: the root document (runtimes.jsonnet) evaluates to a
// list of runtimes, each usually imported from a file in its runtime folder.
//
// The package knows what the fields mean and what the controller that reads
// the result can match; it knows nothing of Dockerfiles or registries.
package manifest

import (
	"time"

	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A Phase is a step in the life of a function. Phases run in the order
// installation, compilation, runtime.
type Phase string

// The phases that a manifest may name. Only RuntimePhase is required.
const (
	Installation Phase = "installation"
	Compilation  Phase = "compilation"
	RuntimePhase Phase = "runtime"
)

// A Tree is a loaded repository of runtimes.
type Tree struct {
	// Root is the absolute path of the repository, symbolic links resolved.
	Root string
	// Entry is the absolute path of the root document.
	Entry string
	// JSON is the evaluated document, as Jsonnet prints it.
	JSON []byte
	// Runtimes are in the document's order.
	Runtimes []Runtime
	// Files are the absolute paths of all files that the evaluation read, sorted.
	Files []string
	// Findings are what Load noticed; Validate adds to them.
	Findings []Finding
}

// A Runtime is one entry of the root document.
type Runtime struct {
	// ID and a version are what users type: "nodejs" + "6".
	ID string
	// Folder is the runtime folder that the manifest's file lies in, relative
	// to the root with forward slashes ("stable/python"); empty if the file
	// lies in none.
	Folder string
	// Stability is Folder's first component ("stable", "incubator").
	Stability string
	// File is the absolute path of the file that declares the runtime.
	File string
	// DepName is the dependency file's name ("requirements.txt"), or empty.
	DepName string
	// FileNameSuffix is the extension of source files (".py").
	FileNameSuffix string
	// Versions are in the document's order.
	Versions []Version

	pointer string
}

// A Version is one version of a runtime.
type Version struct {
	// Name is unique in the runtime ("python3.13").
	Name string
	// Version is what users type after the ID ("3.13").
	Version string
	// EOL is the last day on which its makers fix what is found in the language's
	// version, by the hidden field eol:: 'YYYY-MM-DD'; zero if it has none.
	EOL time.Time
	// Images are in the document's order.
	Images []Image

	pointer  string
	position provenance.Position
}

// An Image is what one phase of one version runs.
type Image struct {
	Phase Phase
	// Ref is the reference as written. It is zero if it did not parse, which
	// is a finding.
	Ref reference.Reference
	// Command is run by a shell in the phase's container.
	Command string
	// Env is added to the container's environment.
	Env map[string]string
	// Build is the hidden build field beside the image, or nil.
	Build *BuildSpec
	// Pointer is the JSON pointer of the image's reference in the evaluated
	// document ("/0/versions/1/images/0/image").
	Pointer string
	// Position is where the reference is in the source, or where its
	// nearest traceable neighbour does.
	Position provenance.Position

	pointer string // of the image's object
	// commandUnclear tells that the command is misspelt or no string, which is a
	// finding of its own.
	commandUnclear bool
}

// A BuildSpec says how an image is made where the names of the files do not:
//
//	build:: { dockerfile: 'Dockerfile.8.opt', context: '.', args: { V: '8' }, target: 'slim' }
//
// Paths are relative to the runtime folder. `build:: null` says that this
// tree does not build the image.
type BuildSpec struct {
	Dockerfile string
	Context    string
	Args       map[string]string
	Target     string
	// External is true for `build:: null`.
	External bool
}
