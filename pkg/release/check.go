package release

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/buildcontext"
	"github.com/rtbuild/rtbuild/pkg/check"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// Check lists everything wrong in what the names select, all of the tree if there
// are none: in the manifests, in what the Dockerfiles make of them, in the
// Dockerfiles and in runtime folders. What follows from an error in a manifest is
// left out, and so is what the settings ignore.
func (p *Project) Check(ctx context.Context, names []string) ([]manifest.Finding, error) {
	findings, err := p.findings(ctx)
	if err != nil {
		return nil, err
	}
	findings = check.Ignore(p.Tree.Root, findings, p.config.Check.Ignore)
	if len(names) > 0 {
		if findings, err = p.selected(findings, names); err != nil {
			return nil, err
		}
	}
	manifest.SortFindings(findings)
	return findings, nil
}

// selected are the findings about what names select, among them folders that the root
// document leaves out.
func (p *Project) selected(findings []manifest.Finding, names []string) ([]manifest.Finding, error) {
	var selected []manifest.Finding
	for _, name := range p.Discovery.Arguments(names) {
		leftOut := slices.DeleteFunc(slices.Clone(findings), func(f manifest.Finding) bool {
			file, err := filepath.Rel(p.Tree.Root, f.Position.File)
			file = filepath.ToSlash(file)
			return err != nil || f.Rule != check.RuleNotImported || file != name && !strings.HasPrefix(file, name+"/")
		})
		selection, err := p.Discovery.Find([]string{name})
		var unknown *discover.UnknownNameError
		switch {
		case errors.As(err, &unknown) && len(leftOut) > 0:
		case err != nil:
			return nil, err
		default:
			leftOut = append(leftOut, check.Select(p.Tree.Root, findings, p.Discovery, selection)...)
		}
		for _, f := range leftOut {
			if !slices.Contains(selected, f) {
				selected = append(selected, f)
			}
		}
	}
	return selected, nil
}

// findings are all, in no order.
func (p *Project) findings(ctx context.Context) ([]manifest.Finding, error) {
	findings := append(slices.Clone(p.Tree.Findings), p.Tree.PastEOL(time.Now())...)
	all := slices.Concat(p.Discovery.Targets, p.Discovery.Unused)
	for _, t := range all {
		if finding, ok := p.largeContext(t); ok {
			findings = append(findings, finding)
		}
	}
	dockerfiles, err := check.Dockerfiles(ctx, p.Tree.Root, all, p.Platforms, p.pinnedFiles())
	if err != nil {
		return nil, err
	}
	folders, err := check.Folders(p.Tree, p.Discovery, p.config.Roots)
	if err != nil {
		return nil, err
	}
	derived := slices.Concat(p.matches(), p.unpinned(), dockerfiles, folders, check.Tags(p.Tree, p.Discovery))
	return append(findings, p.worthTelling(derived)...), nil
}

// pinnedFiles are those that a release writes digests into, without symbolic links.
func (p *Project) pinnedFiles() []string {
	var files []string
	for _, u := range p.Discovery.Usages {
		file, err := filepath.EvalSymlinks(u.Image.Position.File)
		if u.Origin == discover.OriginBuilt && err == nil && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// worthTelling leaves out what follows from something else: in a folder whose
// manifest leaves open which images there are, what is wrong with those and with
// their Dockerfiles; and Dockerfiles without an image in one that is not imported.
func (p *Project) worthTelling(findings []manifest.Finding) []manifest.Finding {
	open := p.Tree.Undetermined()
	leftOut := map[string]bool{}
	for _, f := range findings {
		if f.Rule == check.RuleNotImported {
			leftOut[p.folder(f)] = true
		}
	}
	return slices.DeleteFunc(findings, func(f manifest.Finding) bool {
		switch f.Rule {
		case check.RuleUnpinned, check.RuleMissingImage, check.RuleTagVersion, check.RuleUndecided, check.RuleUnusedDockerfile:
			return open[p.folder(f)] || leftOut[p.folder(f)]
		case check.RuleDockerfile:
			return open[p.folder(f)] && f.Position.Line == 0
		}
		return false
	})
}

// folder is the runtime folder that a finding is in, or is about.
func (p *Project) folder(f manifest.Finding) string {
	parents := p.config.Roots
	if len(parents) == 0 {
		parents = manifest.DefaultFolders()
	}
	return manifest.RuntimeFolder(p.Tree.Root, parents, filepath.Join(f.Position.File, "x"))
}

// matches says what is wrong between manifests and Dockerfiles.
func (p *Project) matches() []manifest.Finding {
	var findings []manifest.Finding
	for _, u := range p.Discovery.Usages {
		if u.Origin == discover.OriginMissing {
			findings = append(findings, p.Unpinnable([]discover.Usage{u})...)
		}
	}
	for _, u := range p.Discovery.Undecided {
		findings = append(findings, p.finding(manifest.SeverityError, check.RuleUndecided, u.Dockerfile, "undecided: "+u.Reason+" (candidates: "+strings.Join(u.Candidates, ", ")+")"))
	}
	for _, t := range p.Discovery.Unused {
		findings = append(findings, p.finding(manifest.SeverityWarning, check.RuleUnusedDockerfile, t.Dockerfile, "makes no image that a manifest names; it is built only on request: rtbuild build "+t.Dockerfile))
	}
	for _, name := range p.Discovery.Misnamed {
		findings = append(findings, p.finding(manifest.SeverityWarning, check.RuleUnusedDockerfile, name,
			"its name does not say which image it makes: call it Dockerfile.VERSION, or Dockerfile.VERSION.init, or let the manifest name it with a hidden field beside the image, build:: { dockerfile: '"+path.Base(name)+"' }"))
	}
	return findings
}

// unpinned warns of images that have no digest yet: once for those of a runtime that
// a release pins, and of each other one.
func (p *Project) unpinned() []manifest.Finding {
	var findings []manifest.Finding
	built := map[string]int{} // by runtime
	for _, u := range p.Discovery.Usages {
		if u.Origin == discover.OriginBuilt && unpinned(u) != "" {
			built[u.Runtime]++
		}
	}
	for _, u := range p.Discovery.Usages {
		f := manifest.Finding{Severity: manifest.SeverityWarning, Rule: check.RuleUnpinned, Position: u.Image.Position, Subject: check.Subject(u), Message: unpinned(u)}
		if f.Message == "" {
			continue
		}
		if n := built[u.Runtime]; u.Origin == discover.OriginBuilt && n > 1 {
			f.Subject, f.Message = u.Runtime, fmt.Sprintf("%d images have no digest; a release pins them (rtbuild all --push), and so does rtbuild pin", n)
			built[u.Runtime] = 0
		} else if u.Origin == discover.OriginBuilt && n == 0 {
			continue // told with the first
		}
		findings = append(findings, f)
	}
	return findings
}

// unpinned says of an image that has no digest yet how it gets one; "" where
// that is an error already, or it has one.
func unpinned(u discover.Usage) string {
	how := ""
	switch {
	case u.Ref.Name == "" || u.Ref.Digest != "":
		return ""
	case u.Origin == discover.OriginBuilt:
		how = "a release pins it (rtbuild all --push), and so does rtbuild pin"
	case u.Origin == discover.OriginUndecided:
		how = "a release pins it once it is decided which Dockerfile makes it"
	case u.Origin == discover.OriginExternal && u.Ref.Tag != "":
		how = "it is a third party's, and no release pins it: rtbuild pin --external does"
	case u.Origin == discover.OriginExternal:
		how = fmt.Sprintf("it is a third party's, and no release pins it: rtbuild pin %s=sha256:… does, or give it a tag and use rtbuild pin --external", u.Ref)
	default:
		return ""
	}
	return fmt.Sprintf("%s has no digest; %s", u.Ref, how)
}

// largeContextSize is the size, in bytes, above which a build context is worth a
// warning.
const largeContextSize = 2 << 30

// largeContext warns of a context that holds a lot. What is wrong with one that
// cannot be read is said where it is built.
func (p *Project) largeContext(t *discover.Target) (manifest.Finding, bool) {
	dir, err := buildcontext.Open(filepath.Join(p.Tree.Root, t.Context), filepath.Join(p.Tree.Root, t.Dockerfile), "")
	if err != nil {
		return manifest.Finding{}, false
	}
	total, largest, err := dir.Size(context.Background())
	if err != nil || total <= largeContextSize {
		return manifest.Finding{}, false
	}
	var files []string
	for _, f := range largest {
		files = append(files, fmt.Sprintf("%s (%d MiB)", f.Path, f.Size>>20))
	}
	message := fmt.Sprintf("its build context %s holds %d MiB, the most of it in %s: hide what the image does not need in %s/.dockerignore", t.Context, total>>20, strings.Join(files, ", "), t.Context)
	return p.finding(manifest.SeverityWarning, check.RuleLargeContext, t.Dockerfile, message), true
}

func (p *Project) finding(severity manifest.Severity, rule manifest.Rule, file, message string) manifest.Finding {
	return manifest.Finding{Severity: severity, Rule: rule, Position: provenance.Position{File: p.Tree.Root + "/" + file}, Message: message}
}
