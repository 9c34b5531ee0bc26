package check

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// Folders says what runtime folders lack that hold what this tree builds, and which
// of those under parents ("stable"; manifest.DefaultFolders if there are none) the
// root document leaves out.
func Folders(tree *manifest.Tree, d *discover.Discovery, parents []string) ([]manifest.Finding, error) {
	if len(parents) == 0 {
		parents = manifest.DefaultFolders()
	}
	built := map[string]bool{}
	for _, u := range d.Usages {
		built[u.Folder] = built[u.Folder] || u.Origin == discover.OriginBuilt
	}
	findings, err := notImported(tree, parents)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, r := range tree.Runtimes {
		if r.Folder == "" || !built[r.Folder] {
			continue
		}
		findings = append(findings, incomplete(tree.Root, r)...)
		if seen[r.Folder] {
			continue
		}
		seen[r.Folder] = true
		scripts, err := scriptsInCRLF(tree.Root, r.Folder)
		if err != nil {
			return nil, err
		}
		findings = append(findings, scripts...)
	}
	return findings, nil
}

// notImported are the folders of which the evaluation read no file, though they look
// like runtimes.
func notImported(tree *manifest.Tree, parents []string) ([]manifest.Finding, error) {
	var findings []manifest.Finding
	for _, parent := range parents {
		entries, err := os.ReadDir(filepath.Join(tree.Root, parent))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing the runtime folders: %w", err)
		}
		for _, entry := range entries {
			folder := path.Join(filepath.ToSlash(parent), entry.Name())
			imported := slices.ContainsFunc(tree.Files, func(file string) bool {
				return manifest.RuntimeFolder(tree.Root, parents, file) == folder
			})
			if imported || strings.HasPrefix(entry.Name(), ".") {
				continue
			}
			if f, ok := leftOut(tree, folder); ok {
				findings = append(findings, f)
			}
		}
	}
	return findings, nil
}

// leftOut is the finding of a folder that the root document leaves out; ok is false
// if it does not look like a runtime.
func leftOut(tree *manifest.Tree, folder string) (f manifest.Finding, ok bool) {
	entries, err := os.ReadDir(filepath.Join(tree.Root, folder))
	if err != nil {
		return f, false // a file
	}
	f = manifest.Finding{Severity: isWarning, Rule: RuleNotImported, Position: place(tree.Root, folder, 0)}
	for _, entry := range entries {
		switch {
		case filepath.Ext(entry.Name()) == ".jsonnet":
			manifestPath := folder + "/" + entry.Name()
			f.Position = place(tree.Root, manifestPath, 0)
			f.Message = fmt.Sprintf("%s does not import it, so that nothing of %s is built or published: add import '%s'", filepath.Base(tree.Entry), folder, manifestPath)
			return f, true
		case strings.HasPrefix(entry.Name(), "Dockerfile"):
			f.Message = "holds Dockerfiles and no manifest (*.jsonnet), so that nothing of it is built or published"
			ok = true
		}
	}
	return f, ok
}

// incomplete says what a runtime's folder lacks.
func incomplete(root string, r manifest.Runtime) []manifest.Finding {
	var findings []manifest.Finding
	warn := func(rule manifest.Rule, format string, args ...any) {
		findings = append(findings, manifest.Finding{Severity: isWarning, Rule: rule, Subject: r.ID, Position: place(root, relative(root, r.File), 0), Message: fmt.Sprintf(format, args...)})
	}
	subject := contract.NewSubject(root, r, manifest.Version{}, nil)
	if missing := subject.MissingFunctions(); len(missing) > 0 {
		warn(RuleContract, "%s/contract lacks %s, which rtbuild verify runs: docs/CONTRACT.md says what they do", r.Folder, list(missing))
	}
	if missing := subject.MissingExamples(); len(missing) > 0 {
		warn(RuleExamples, "%s/examples lacks %s, which show users what a function looks like", r.Folder, list(missing))
	}
	if _, err := os.Stat(filepath.Join(root, r.Folder, "Makefile")); err != nil {
		warn(RuleMakefile, "%s lacks a Makefile with the targets build, push, deploy and test", r.Folder)
	}
	return findings
}

func relative(root, file string) string {
	if rel, err := filepath.Rel(root, file); err == nil {
		return filepath.ToSlash(rel)
	}
	return file
}

// list is "a, b and c".
func list(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// largestScript is the size, in bytes, up to which a file may be a script.
const largestScript = 1 << 20

// scriptsInCRLF are the scripts in a runtime folder that no interpreter is found for:
// the CR counts as part of its name.
func scriptsInCRLF(root, folder string) ([]manifest.Finding, error) {
	var findings []manifest.Finding
	err := filepath.WalkDir(filepath.Join(root, folder), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() > largestScript {
			return err
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if end := bytes.IndexByte(source, '\n'); end > 0 && bytes.HasPrefix(source, []byte("#!")) && source[end-1] == '\r' {
			findings = append(findings, manifest.Finding{
				Severity: isWarning, Rule: RuleCRLF, Position: place(root, relative(root, file), 1),
				Message: "its lines end in CRLF: no container finds its interpreter, whose name would end in CR",
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for scripts: %w", err)
	}
	return findings, nil
}

// Tags warns of images whose tags are other versions than those that they are for.
func Tags(tree *manifest.Tree, d *discover.Discovery) []manifest.Finding {
	declared := map[string]map[string]bool{}
	for _, r := range tree.Runtimes {
		declared[r.ID] = map[string]bool{}
		for _, v := range r.Versions {
			declared[r.ID][v.Version] = true
		}
	}
	var findings []manifest.Finding
	for _, u := range d.Usages {
		tag := u.Ref.Tag
		of := strings.HasPrefix(tag, u.Version+"-") || strings.HasPrefix(tag, u.Version+".")
		if tag == "" || u.Version == "" || u.Origin == discover.OriginExternal || of || declared[u.Runtime][tag] {
			continue
		}
		findings = append(findings, manifest.Finding{
			Severity: isWarning, Rule: RuleTagVersion, Position: u.Image.Position, Subject: Subject(u),
			Message: fmt.Sprintf("the version is %s and the tag %s: is %s:%s meant?", u.Version, tag, u.Ref.Name, u.Version),
		})
	}
	return findings
}

// Subject names an image of a phase, as findings do: "python 3.13 installation".
func Subject(u discover.Usage) string {
	return strings.Join([]string{u.Runtime, u.Version, string(u.Phase)}, " ")
}
