package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A Subject is what is verified: one version of a runtime, or an image that
// claims the contract.
type Subject struct {
	// Runtime and Version are what users type ("python", "3.13"); together
	// they are FUNC_RUNTIME.
	Runtime, Version string
	// Phases are what the manifest says of each phase, the runtime phase at
	// least.
	Phases []function.Phase
	// FileNameSuffix is the extension of source files (".py").
	FileNameSuffix string
	// DepName is the dependency file's name; empty if the runtime takes none.
	DepName string
	// Functions is the folder of the contract functions.
	Functions string
	// Examples is the folder of the three examples; empty if there is none.
	Examples string
	// Env is the function's own environment, which all phases but the
	// preparation get before theirs: package indexes, proxies.
	Env []function.Variable
}

// NewSubject is a version of a runtime in the tree at root, whose images are
// found by what references says of each.
func NewSubject(root string, r manifest.Runtime, v manifest.Version, references func(manifest.Image) []string) Subject {
	of := function.NewRuntime(r, v, references)
	return Subject{
		Runtime: of.ID, Version: of.Version, FileNameSuffix: of.FileNameSuffix, DepName: of.DepName, Phases: of.Phases,
		Functions: functionsFolder(root, r),
		Examples:  filepath.Join(root, filepath.FromSlash(r.Folder), "examples"),
	}
}

// runtime is what the subject's functions are made with.
func (s Subject) runtime() function.Runtime {
	return function.Runtime{ID: s.Runtime, Version: s.Version, Phases: s.Phases, FileNameSuffix: s.FileNameSuffix, DepName: s.DepName}
}

// functionsFolder is where a runtime in the tree at root keeps its contract
// functions.
func functionsFolder(root string, r manifest.Runtime) string {
	return filepath.Join(root, filepath.FromSlash(r.Folder), "contract")
}

// String names the subject: "python 3.13".
func (s Subject) String() string { return strings.TrimSpace(s.Runtime + " " + s.Version) }

// Suffix finds the extension of the contract functions in a folder: that of
// contract.<ext>.
func Suffix(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("reading the contract functions: %w", err)
	}
	var found []string
	for _, entry := range entries {
		suffix := filepath.Ext(entry.Name())
		base := strings.TrimSuffix(entry.Name(), suffix)
		if strings.EqualFold(base, "contract") && suffix != ".yaml" {
			found = append(found, suffix)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("%s has no contract.<ext>", folder)
	}
	return "", fmt.Errorf("%s has contract files with the extensions %s: say which one", folder, strings.Join(found, ", "))
}

// A source is what a user deploys: a file, and perhaps its dependencies.
type source struct {
	// module and file are the file's base name without and with its suffix.
	module, file string
	content      []byte
	// deps is the dependency file's content; empty installs nothing.
	deps []byte
}

// load reads the function whose file has this base name in the folder,
// whatever the case.
func (s Subject) load(folder, base string, withDeps bool) (source, error) {
	f := source{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return f, err
	}
	for _, entry := range entries {
		if strings.EqualFold(entry.Name(), base+s.FileNameSuffix) {
			f.file = entry.Name()
		}
	}
	if f.file == "" {
		return f, fmt.Errorf("%s has no %s%s", folder, base, s.FileNameSuffix)
	}
	f.module = f.file[:len(base)]
	if f.content, err = os.ReadFile(filepath.Join(folder, f.file)); err != nil || !withDeps {
		return f, err
	}
	f.deps, err = os.ReadFile(filepath.Join(folder, s.DepName))
	if errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("%s has no %s, the dependencies of %s", folder, s.DepName, f.file)
	}
	return f, err
}
