package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/nearest"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// VersionOptions say which version to add.
type VersionOptions struct {
	// Runtime is the runtime's ID, and Version the new one.
	Runtime, Version string
	// EOL is its end of life, YYYY-MM-DD; empty for none.
	EOL string
	// Fields are other values for fields of the newest version that are strings, by
	// their names: what else is different, as the Debian suite.
	Fields map[string]string
}

// Version finds out what adds a version to a runtime: another element in the
// manifest's list of versions, made of the newest one's, and a Dockerfile where the
// newest has its own. The manifests are evaluated with it: they must be as before,
// with exactly that version more. Nothing is written yet.
func (t *Tree) Version(ctx context.Context, o VersionOptions) (*Addition, error) {
	if err := t.Project.Tree.Valid(); err != nil {
		return nil, err
	}
	index, r, err := t.wanted(o)
	if err != nil {
		return nil, err
	}
	from := newest(r.Versions)
	a := &Addition{
		Runtime: r.ID, Folder: r.Folder, Versions: []string{o.Version}, From: r.Versions[from].Version, Patch: &pin.Patch{}, tree: t,
		prove: func(*manifest.Tree) error { return nil }, // the evaluation below has
	}
	c := elementChange{change: change{r.Versions[from].Version, o.Version}, eol: o.EOL, fields: o.Fields, unpinned: t.untagged}
	edits, replaced, err := t.addVersion(ctx, index, r, from, c)
	if err != nil {
		return nil, err
	}
	if err := a.patch(edits); err != nil {
		return nil, err
	}
	if err := a.addDockerfiles(r.Versions[from], c.change); err != nil {
		return nil, err
	}
	if err := a.addRow(r, c, replaced); err != nil {
		return nil, err
	}
	return a, a.listVersion(r)
}

// wanted is the runtime that the version is for.
func (t *Tree) wanted(o VersionOptions) (int, *manifest.Runtime, error) {
	index, r := t.runtime(o.Runtime)
	if r == nil {
		return 0, nil, inputf("there is no runtime %q%s", o.Runtime, nearest.Question(o.Runtime, t.ids()))
	}
	if err := parseVersions([]string{o.Version}); err != nil {
		return 0, nil, err
	}
	if o.EOL != "" {
		if _, err := time.Parse(time.DateOnly, o.EOL); err != nil {
			return 0, nil, inputf("%q is not a day: write YYYY-MM-DD, as 2030-10-31", o.EOL)
		}
	}
	for name, value := range o.Fields {
		if strings.ContainsAny(value, "'\"\\\n") || slices.Contains([]string{"version", "eol"}, name) {
			return 0, nil, inputf("%s=%s cannot be set: want a string without quotes and backslashes, and not the version itself or its end of life", name, value)
		}
	}
	for _, v := range r.Versions {
		if v.Version == o.Version {
			return 0, nil, inputf("%s has a version %s already: %s", r.ID, v.Version, place(v))
		}
	}
	return index, r, nil
}

// place is where a version is in the sources, as near as is known.
func place(v manifest.Version) string {
	for _, image := range v.Images {
		return image.Position.String()
	}
	return "in its manifest"
}

// untagged tells whether an image has no tag, and this tree makes it: then it is the
// version's, without saying so.
func (t *Tree) untagged(ref reference.Reference) bool {
	return ref.Tag == "" && slices.ContainsFunc(t.Project.Discovery.Usages, func(u discover.Usage) bool {
		return u.Origin == discover.OriginBuilt && u.Ref.Name == ref.Name
	})
}

// addVersion are the edits that add the version, proven, and the values that fields had
// which get others.
func (t *Tree) addVersion(ctx context.Context, index int, r *manifest.Runtime, from int, c elementChange) (edits []provenance.Edit, replaced map[string]string, err error) {
	s, err := t.sources(ctx)
	if err != nil {
		return nil, nil, err
	}
	refused := fmt.Errorf("%s: no list is known in which version %s is an element of its own: add %s by hand", r.File, c.old, c.new)
	for i, list := range s.versionLists(index, r, from) {
		edits, err := s.versionEdits(list, index, r, from, c)
		if err != nil {
			if i == 0 {
				refused = err
			}
			continue
		}
		if err = s.proveVersion(ctx, edits, index, from, c); err == nil {
			return edits, s.replaced(list, from, c), nil
		}
		if ctx.Err() != nil {
			return nil, nil, err
		}
		if i == 0 {
			refused = fmt.Errorf("%s: a version made of this one is not all that would change: %w; add %s by hand",
				s.position(list.file, list.Elements[list.elements[from]].Start), err, c.new)
		}
	}
	return nil, nil, refused
}

// replaced are the values that fields had which get others: the new ones, by the old.
func (s *sources) replaced(list versionList, version int, c elementChange) map[string]string {
	replaced := map[string]string{}
	fields, err := s.fieldLiterals(list.file, list.Elements[list.elements[version]], c.fields)
	for _, l := range s.literals[list.file] {
		if name, ok := fields[l.Start]; ok && err == nil {
			replaced[l.Value] = c.fields[name]
		}
	}
	return replaced
}

func (s *sources) versionEdits(list versionList, index int, r *manifest.Runtime, from int, c elementChange) ([]provenance.Edit, error) {
	edits, err := s.changed(list, index, from, c)
	if err != nil {
		return nil, err
	}
	text, err := s.text(list.file, list.Elements[list.elements[from]], edits)
	if err != nil {
		return nil, err
	}
	return insertion(list.file, s.doc.Files[list.file], list.List, list.after(r, from, c.new), text), nil
}

// after is the index of the element behind which a version belongs: in order, if the
// others are in order, from old to new or from new to old; else behind the one that it
// is made of.
func (l versionList) after(r *manifest.Runtime, from int, version string) int {
	order := func(descending bool) (after int, ok bool) {
		after = -1
		for i, v := range r.Versions {
			if i > 0 && (compareVersions(r.Versions[i-1].Version, v.Version) > 0) != descending {
				return 0, false
			}
			if (compareVersions(v.Version, version) > 0) == descending {
				after = i
			}
		}
		return after, len(l.elements) == len(r.Versions)
	}
	for _, descending := range []bool{false, true} {
		if after, ok := order(descending); ok && (after >= 0 || l.elements[0] == 0) {
			if after < 0 {
				return -1
			}
			return l.elements[after]
		}
	}
	return l.elements[from]
}

// proveVersion evaluates the document with edits: it must be as before, but for the
// new version.
func (s *sources) proveVersion(ctx context.Context, edits []provenance.Edit, index, from int, c elementChange) error {
	out, err := s.doc.EvaluateEdited(ctx, edits)
	if err != nil {
		return err
	}
	before, err := documentOf(s.doc.JSON)
	if err != nil {
		return err
	}
	after, err := documentOf(out)
	if err != nil {
		return err
	}
	if len(after) != len(before) {
		return fmt.Errorf("there are %d runtimes instead of %d", len(after), len(before))
	}
	old, _ := before[index]["versions"].([]any)
	versions, _ := after[index]["versions"].([]any)
	added := -1
	for i, v := range versions {
		if member, _ := v.(map[string]any); member["version"] == c.new {
			added = i
		}
	}
	if added < 0 {
		return fmt.Errorf("there is no version %s then", c.new)
	}
	version, _ := versions[added].(map[string]any)
	after[index]["versions"] = slices.Delete(slices.Clone(versions), added, added+1)
	if !reflect.DeepEqual(before, after) {
		return errors.New("something else of the document is different then")
	}
	template, _ := old[from].(map[string]any)
	return sameVersion(template, version, c)
}

// sameVersion wants a version to have what the other has, its images without the
// other's digests.
func sameVersion(old, version map[string]any, c elementChange) error {
	want, _ := old["images"].([]any)
	got, _ := version["images"].([]any)
	if len(want) != len(got) || len(old) != len(version) {
		return fmt.Errorf("%s would have other fields than %s", c.new, c.old)
	}
	for i := range got {
		a, _ := want[i].(map[string]any)
		b, _ := got[i].(map[string]any)
		was, _ := a["image"].(string)
		is, _ := b["image"].(string)
		switch {
		case is != was && digests.MatchString(is):
			return fmt.Errorf("its image %s has a digest, which comes from elsewhere than this element", is)
		case is == was && c.in(was) != was:
			return fmt.Errorf("its image %s stays, which comes from elsewhere than this element", is)
		}
		if a["phase"] != b["phase"] || len(a) != len(b) {
			return fmt.Errorf("%s would have other phases than %s", c.new, c.old)
		}
	}
	return nil
}

// documentOf is the root document.
func documentOf(source []byte) ([]map[string]any, error) {
	var document []map[string]any
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("reading the evaluated document: %w", err)
	}
	return document, nil
}

// addDockerfiles adds a copy of each Dockerfile that is of the old version alone, by
// its name, where there is none of the new one yet.
func (a *Addition) addDockerfiles(from manifest.Version, c change) error {
	for _, image := range from.Images {
		target := a.tree.Project.Discovery.TargetOf(image.Pointer)
		if target == nil {
			continue
		}
		for _, suffix := range []string{"", ".dockerignore"} {
			if err := a.addCopy(target.Dockerfile+suffix, c, suffix == ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Addition) addCopy(file string, c change, needed bool) error {
	folder, base := path.Split(file)
	name := folder + c.in(base)
	exists := func(name string) bool {
		_, err := os.Lstat(a.tree.path(name))
		return err == nil || slices.ContainsFunc(a.Files, func(f File) bool { return f.Path == name })
	}
	if name == file || exists(name) {
		return nil
	}
	content, err := os.ReadFile(a.tree.path(file))
	if errors.Is(err, fs.ErrNotExist) && !needed {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what the new version is made of: %w", err)
	}
	a.Files = append(a.Files, File{Path: name, Content: []byte(dockerfileIn(string(content), c)), Mode: 0o644})
	return nil
}

// dockerfileIn is a Dockerfile for another version.
func dockerfileIn(source string, c change) string {
	var out strings.Builder
	for line := range strings.Lines(source) {
		fields := strings.Fields(line)
		replace := c.inProse
		if len(fields) > 0 && slices.Contains([]string{"FROM", "ARG", "LABEL"}, strings.ToUpper(fields[0])) {
			replace = c.in
		}
		out.WriteString(replace(line))
	}
	return out.String()
}

// patch adds what edits make of files to the patch.
func (a *Addition) patch(edits []provenance.Edit) error {
	byFile := map[string][]provenance.Edit{}
	for _, e := range edits {
		byFile[e.File] = append(byFile[e.File], e)
	}
	for file, list := range byFile {
		if relative := a.tree.relative(file); !filepath.IsLocal(filepath.FromSlash(relative)) || slices.Contains(strings.Split(path.Dir(relative), "/"), "vendor") {
			return fmt.Errorf("%s is not this tree's to change", file)
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		changed, err := provenance.Apply(source, list)
		if err != nil {
			return err
		}
		if err := a.replace(file, source, changed); err != nil {
			return err
		}
	}
	return nil
}

// replace adds a changed file to the patch.
func (a *Addition) replace(file string, old, changed []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	a.Patch.Files = append(a.Patch.Files, pin.PatchedFile{Path: file, Old: old, New: changed, Mode: info.Mode()})
	return nil
}
