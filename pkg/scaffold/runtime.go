package scaffold

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/nearest"
	"github.com/rtbuild/rtbuild/pkg/pin"
)

// Blank is the name of what a runtime is made of that is like no other of the tree.
const Blank = "blank"

// RuntimeOptions say which runtime to add.
type RuntimeOptions struct {
	// Name is the runtime's ID and the name of its folder.
	Name string
	// From is the ID of the runtime that it is made of, or Blank.
	From string
	// Versions are its versions; of another runtime the newest one if there are none.
	Versions []string
	// Suite is the folder that holds its folder; the last of the tree's if empty.
	Suite string
	// NoImport leaves the root document as it is: nothing is proven then.
	NoImport bool
}

// namePattern are names that the controller takes for an ID, Kubernetes for part of
// a function's name, and registries for a repository.
var namePattern = regexp.MustCompile(`^[a-z]+([-_][a-z]+)*$`)

// longestName leaves room in a label of Kubernetes, which has 63 characters, for
// what the names of example functions have around it.
const longestName = 40

// Runtime finds out what adds a runtime to the tree: a folder with all that belongs
// there, and its import in the root document. Nothing is written yet.
func (t *Tree) Runtime(ctx context.Context, o RuntimeOptions) (*Addition, error) {
	if err := t.Project.Tree.Valid(); err != nil {
		return nil, err
	}
	suite, err := t.free(o)
	if err != nil {
		return nil, err
	}
	if err := parseVersions(o.Versions); err != nil {
		return nil, err
	}
	a := &Addition{Runtime: o.Name, Folder: suite + "/" + o.Name, Versions: o.Versions, Patch: &pin.Patch{}, tree: t, whole: true}
	s, err := t.sources(ctx)
	if err != nil {
		return nil, err
	}
	manifestPath := a.Folder + "/" + o.Name + ".jsonnet"
	if o.From == Blank {
		err = a.blank()
	} else {
		manifestPath, err = a.copyOf(ctx, s, o)
	}
	if err != nil {
		return nil, err
	}
	line := importOf(t, t.Project.Tree.Entry, manifestPath)
	if err := a.resume(line); err != nil {
		return nil, err
	}
	if o.NoImport {
		a.Line = line
		return a, nil
	}
	edits, err := t.importing(ctx, s, manifestPath)
	if err != nil {
		return nil, err
	}
	if err := a.patch(edits); err != nil {
		return nil, err
	}
	_, template := t.runtime(a.From)
	return a, a.listRuntime(template)
}

// free wants the name to be a valid one that no runtime has yet. It returns the folder
// for the runtime's folder.
func (t *Tree) free(o RuntimeOptions) (suite string, err error) {
	if !namePattern.MatchString(o.Name) || len(o.Name) > longestName {
		return "", inputf("%q cannot be a runtime's name: want lower-case letters, with single - or _ between them, %d at most: it is part of what users type, of names of Kubernetes and of images", o.Name, longestName)
	}
	if _, r := t.runtime(o.Name); r != nil {
		return "", inputf("there is a runtime %s already, in %s: rtbuild new version %s VERSION adds a version to it", o.Name, t.relative(r.File), o.Name)
	}
	suites := t.folders()
	suite = o.Suite
	if suite == "" {
		suite = suites[len(suites)-1]
	}
	if !slices.Contains(suites, suite) {
		return "", inputf("runtimes are in %s, and not in %q%s", strings.Join(suites, ", "), suite, nearest.Question(suite, suites))
	}
	for _, s := range suites {
		folder := s + "/" + o.Name
		if _, err := os.Lstat(t.path(folder)); s != suite && !errors.Is(err, fs.ErrNotExist) {
			return "", inputf("%s is there already, and no runtime of that name: rtbuild check says what is wrong with it; remove it, or choose another name", folder)
		}
	}
	return suite, nil
}

// resume looks whether the folder is there already, though no runtime's: as a run
// leaves it that was killed before line was in the root document. Then its files need
// no writing. A folder that holds something else is not touched.
func (a *Addition) resume(line string) error {
	if _, err := os.Lstat(a.tree.path(a.Folder)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, f := range a.Files {
		if !f.in(a.tree.path(f.Path)) {
			return inputf("%s is there already, and no runtime of that name; it is not what this command would write (%s differs), so that it stays as it is. If it is to be the runtime, add to %s: %s; else remove it, or choose another name",
				a.Folder, f.Path, a.tree.relative(a.tree.Project.Tree.Entry), line)
		}
	}
	a.Files, a.Resumed = nil, true
	return nil
}

// copyOf fills the addition with a copy of another runtime, under the new name.
func (a *Addition) copyOf(ctx context.Context, s *sources, o RuntimeOptions) (manifestPath string, err error) {
	index, template, err := a.tree.template(o.From)
	if err != nil {
		return "", err
	}
	c := &copying{
		tree: a.tree, sources: s, index: index, template: template, from: newest(template.Versions),
		renaming: renaming{oldID: template.ID, newID: a.Runtime, oldFolder: template.Folder, newFolder: a.Folder},
	}
	if c.repositories, err = a.tree.newRepositories(template, c.renaming); err != nil {
		return "", err
	}
	if err := c.trace(ctx); err != nil {
		return "", err
	}
	a.From = template.ID
	if len(a.Versions) == 0 {
		a.Versions = []string{template.Versions[c.from].Version}
	}
	c.versions = a.Versions
	files, err := a.tree.Sources(ctx, template.Folder)
	if err != nil {
		return "", fmt.Errorf("listing the files of %s: %w", template.Folder, err)
	}
	for _, file := range files {
		copied, err := c.file(file)
		if err != nil {
			return "", err
		}
		a.Files = append(a.Files, copied...)
	}
	a.prove = func(after *manifest.Tree) error { return a.proveCopy(after, c) }
	return c.path(a.tree.relative(template.File)), nil
}

// template is the runtime to make another one of.
func (t *Tree) template(from string) (int, *manifest.Runtime, error) {
	index, r := t.runtime(from)
	if r == nil {
		return 0, nil, inputf("there is no runtime %q to copy%s", from, nearest.Question(from, append(t.ids(), Blank)))
	}
	if r.Folder == "" || !strings.HasPrefix(t.relative(r.File), r.Folder+"/") {
		return 0, nil, inputf("%s cannot be copied: its manifest is in %s and not in a folder of its own", from, t.relative(r.File))
	}
	for _, other := range t.Project.Tree.Runtimes {
		if other.ID != r.ID && other.Folder == r.Folder {
			return 0, nil, inputf("%s cannot be copied: its folder %s is that of %s, too", from, r.Folder, other.ID)
		}
	}
	return index, r, nil
}

// newRepositories are the names of the images that the new runtime's Dockerfiles
// make, by those of the other's.
func (t *Tree) newRepositories(template *manifest.Runtime, r renaming) (map[string]string, error) {
	taken := map[string]bool{}
	for _, u := range t.Project.Discovery.Usages {
		taken[u.Ref.Name] = true
	}
	names := map[string]string{}
	for _, target := range t.Project.Discovery.Targets {
		old := target.Repository.Name
		if target.Folder() != template.Folder || names[old] != "" {
			continue
		}
		names[old] = r.repository(old, target.Kind == discover.KindInit)
		if taken[names[old]] {
			return nil, inputf("%s is the image of another runtime already: choose another name", names[old])
		}
		taken[names[old]] = true
	}
	return names, nil
}

// proveCopy wants the new runtime to have what the template has, under its own names,
// and all others to be as before.
func (a *Addition) proveCopy(after *manifest.Tree, c *copying) error {
	before, err := documentOf(a.tree.Project.Tree.JSON)
	if err != nil {
		return err
	}
	document, err := documentOf(after.JSON)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(document, func(r map[string]any) bool { return r["ID"] == a.Runtime })
	if at < 0 {
		return fmt.Errorf("the runtimes have none with the ID %s then: %s cannot be copied", a.Runtime, a.From)
	}
	got := document[at]
	if !reflect.DeepEqual(slices.Delete(slices.Clone(document), at, at+1), before) {
		return fmt.Errorf("other runtimes are different then: %s cannot be copied", a.From)
	}
	if want := c.expected(before[c.index], got); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s in %s cannot be copied: the copy has not what %s has at %s",
			a.From, path.Dir(a.tree.relative(c.template.File)), a.From, difference("", want, got))
	}
	return nil
}

// difference is the JSON pointer of the first difference of two values.
func difference(pointer string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			for key := range a {
				if !reflect.DeepEqual(a[key], b[key]) {
					return difference(pointer+"/"+key, a[key], b[key])
				}
			}
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			for i := range a {
				if !reflect.DeepEqual(a[i], b[i]) {
					return difference(fmt.Sprintf("%s/%d", pointer, i), a[i], b[i])
				}
			}
		}
	}
	return fmt.Sprintf("%s: %v instead of %v", pointer, b, a)
}
