package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A VersionName names a version of a runtime.
type VersionName struct{ Runtime, Version string }

// versionsFed are the versions that run a target's image, each once.
func versionsFed(t *discover.Target) []VersionName {
	var names []VersionName
	for _, field := range t.UsedBy {
		if name := (VersionName{field.Runtime, field.Version}); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// SelectVersions are the versions that the options' names select: those of a
// runtime, and those that run an image that the name means. No names select
// all. With Since, those that run an image which changed since then, and those whose
// manifest, contract functions or examples did.
func (p *Project) SelectVersions(ctx context.Context, e Edges, o Options) (map[VersionName]bool, error) {
	selected := map[VersionName]bool{}
	for _, r := range p.Tree.Runtimes {
		for _, v := range r.Versions {
			if len(o.Names) == 0 {
				selected[VersionName{r.ID, v.Version}] = true
			}
		}
	}
	if len(o.Names) > 0 {
		versions, err := p.Discovery.Versions(o.Names)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			selected[VersionName{v.Runtime, v.Version}] = true
		}
	}
	if o.Since == "" {
		return selected, nil
	}
	plan, err := p.Plan(nil)
	if err != nil {
		return nil, err
	}
	difference, err := differenceSince(ctx, e, o.Since, e.run(o).Fingerprint(ctx, plan))
	if err != nil {
		return nil, err
	}
	definitions, err := p.Definitions()
	if err != nil {
		return nil, err
	}
	fed := map[VersionName]bool{}
	for _, target := range p.Discovery.Targets {
		if difference.Targets[target.Name] {
			for _, name := range versionsFed(target) {
				fed[name] = true
			}
		}
	}
	maps.DeleteFunc(selected, func(name VersionName, _ bool) bool { return !fed[name] && definitions[name] == difference.Before[name] })
	return selected, nil
}

// Definitions are what versions are verified by, besides the images that this
// tree makes: a hash of what the manifest says of each, of its contract functions
// and of its examples.
func (p *Project) Definitions() (map[VersionName]string, error) {
	definitions := map[VersionName]string{}
	for _, r := range p.Tree.Runtimes {
		for _, v := range r.Versions {
			subject := contract.NewSubject("", r, v, func(image manifest.Image) []string {
				if p.Discovery.TargetOf(image.Pointer) != nil {
					return []string{image.Ref.WithoutDigest()} // which each release moves
				}
				return []string{image.Ref.String()}
			})
			sum := sha256.New()
			fmt.Fprintf(sum, "%q %q %+v\n", subject.FileNameSuffix, subject.DepName, subject.Phases)
			for _, folder := range []string{subject.Functions, subject.Examples} {
				if err := addFolder(sum, filepath.Join(p.Tree.Root, folder)); err != nil {
					return nil, fmt.Errorf("reading %s: %w", folder, err)
				}
			}
			definitions[VersionName{r.ID, v.Version}] = hex.EncodeToString(sum.Sum(nil))
		}
	}
	return definitions, nil
}

// addFolder adds the files of a folder to a hash; a folder that is missing has
// none.
func addFolder(sum io.Writer, folder string) error {
	files := os.DirFS(folder)
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if name == "." && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		fmt.Fprintf(sum, "%q %x\n", name, sha256.Sum256(content))
		return err
	})
}

// Subjects are versions to verify, in the tree's order, whose images are found
// by what references says of each. Those of a runtime without contract functions
// cannot be: without says of each why.
func (p *Project) Subjects(wanted map[VersionName]bool, references func(manifest.Image) []string) (subjects []contract.Subject, without map[VersionName]error) {
	without = map[VersionName]error{}
	for _, r := range p.Tree.Runtimes {
		for _, v := range r.Versions {
			name := VersionName{r.ID, v.Version}
			if !wanted[name] {
				continue
			}
			subject := contract.NewSubject(p.Tree.Root, r, v, references)
			if _, err := os.Stat(subject.Functions); err != nil {
				without[name] = fmt.Errorf("%s has no contract functions to verify it with: %w; docs/CONTRACT.md says what they are", subject, err)
				continue
			}
			subjects = append(subjects, subject)
		}
	}
	return subjects, without
}

// References are where the image of a phase is looked for: under its tag at destination,
// as a build leaves it, then by the digest of the manifest; with pinned, by that
// alone.
func (p *Project) References(image manifest.Image, destination string, pinned bool) []string {
	ref := image.Ref
	var references []string
	if t := p.Discovery.TargetOf(image.Pointer); t != nil {
		references = []string{t.References(destination)[0].String()}
		ref = ref.Relocate(destination)
	}
	if pinned {
		references = nil
	}
	if ref.Digest != "" {
		return append(references, ref.WithTag("").WithDigest(ref.Digest).String())
	}
	if pinned || len(references) > 0 {
		return references
	}
	return []string{ref.String()}
}

// FunctionRuntime is what functions of a version of a runtime are made with, in
// the images that a build left for destination, else in those of the manifest.
func (p *Project) FunctionRuntime(r manifest.Runtime, v manifest.Version, destination string) function.Runtime {
	return function.NewRuntime(r, v, func(image manifest.Image) []string { return p.References(image, destination, false) })
}
