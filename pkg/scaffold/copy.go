package scaffold

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A copying makes a runtime of another one.
type copying struct {
	renaming
	tree    *Tree
	sources *sources
	// index is the template's in the document, and from its newest version's in it,
	// of which all versions are made.
	index, from int
	template    *manifest.Runtime
	versions    []string
	// named are the literals that the ID and the names of versions begin with.
	named []provenance.FileLiteral
}

// changes are what each of the new versions changes in the template's newest.
func (c *copying) changes() []elementChange {
	var all []elementChange
	for _, version := range c.versions {
		old := c.template.Versions[c.from].Version
		all = append(all, elementChange{
			change: change{old, version}, keepsEOL: version == old,
			unpinned: func(ref reference.Reference) bool { return c.repositories[ref.Name] != "" },
		})
	}
	return all
}

// path is where a file of the template is in the copy.
func (c *copying) path(file string) string {
	rest := strings.TrimPrefix(file, c.oldFolder+"/")
	if rest == c.oldID+".jsonnet" {
		rest = c.newID + ".jsonnet"
	}
	return c.newFolder + "/" + rest
}

// file is the copy of a file of the template; several of a Dockerfile that is of one
// version alone, and none where that is not among those that are copied.
func (c *copying) file(file string) ([]File, error) {
	info, err := os.Lstat(c.tree.path(file))
	if os.IsNotExist(err) {
		return nil, nil // git knows it, and it is deleted
	}
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		link, err := c.link(file)
		return []File{link}, err
	}
	content, err := os.ReadFile(c.tree.path(file))
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return []File{{Path: c.path(file), Content: content, Mode: mode}}, nil
	}
	if _, edited := c.sources.outlines[c.tree.path(file)]; edited {
		if content, err = c.manifest(c.tree.path(file)); err != nil {
			return nil, err
		}
	}
	if files, ok := c.dockerfiles(file, string(content)); ok {
		return files, nil
	}
	text := c.in(string(content))
	text = replaceWhole(text, c.oldID+".jsonnet", c.newID+".jsonnet", name, name)
	switch {
	case path.Base(file) == "Makefile":
		text = c.makefile(text)
	case path.Ext(file) == ".md":
		text = c.page(text)
	}
	return []File{{Path: c.path(file), Content: []byte(text), Mode: mode}}, nil
}

// link is the copy of a symbolic link: within the copy, or to where it led.
func (c *copying) link(file string) (File, error) {
	to, err := os.Readlink(c.tree.path(file))
	if err != nil {
		return File{}, err
	}
	if filepath.IsAbs(to) {
		return File{Path: c.path(file), Link: to}, nil
	}
	target := path.Join(path.Dir(file), filepath.ToSlash(to))
	from := path.Dir(c.path(file))
	if strings.HasPrefix(target, c.oldFolder+"/") {
		from = path.Dir(file) // within the folder, and so within its copy
	}
	if to, err = filepath.Rel(filepath.FromSlash(from), filepath.FromSlash(target)); err != nil {
		return File{}, err
	}
	return File{Path: c.path(file), Link: to}, nil
}

// dockerfiles are the copies of a Dockerfile that makes images of one version alone;
// ok is false for other files.
func (c *copying) dockerfiles(file, content string) (files []File, ok bool) {
	base := path.Base(file)
	if !strings.HasPrefix(base, "Dockerfile.") {
		return nil, false
	}
	of := ""
	for _, v := range c.template.Versions {
		if (change{v.Version, "\x00"}).in(base) != base {
			of = v.Version
		}
	}
	if of == "" {
		return nil, false
	}
	for _, v := range c.changes() {
		if of == v.old {
			name := path.Dir(c.path(file)) + "/" + v.in(base)
			files = append(files, File{Path: name, Content: []byte(c.in(dockerfileIn(content, v.change))), Mode: 0o644})
		}
	}
	return files, true
}

// manifest is a source of the template's manifest, with the new ID, names and versions.
func (c *copying) manifest(file string) ([]byte, error) {
	s := c.sources
	edits := c.names(file)
	lists := s.versionLists(c.index, c.template, c.from)
	single := len(c.template.Versions) == 1 && len(c.versions) == 1 && c.versions[0] == c.template.Versions[0].Version
	switch {
	case len(lists) > 0 && lists[0].file == file:
		list := lists[0]
		text, err := c.elements(list, edits)
		if err != nil {
			return nil, err
		}
		span := provenance.Range{Start: list.Elements[0].Start, End: list.Elements[len(list.Elements)-1].End}
		edits = slices.DeleteFunc(edits, func(e provenance.Edit) bool { return span.Holds(e.Start) })
		edits = append(edits, provenance.Edit{File: file, Start: span.Start, End: span.End, Text: text})
	case len(lists) == 0 && !single:
		return nil, fmt.Errorf("%s: no list is known that has the versions for elements: %s cannot be copied", c.template.File, c.template.ID)
	}
	return provenance.Apply(s.doc.Files[file], edits)
}

// elements are those of all new versions, as the list is laid out.
func (c *copying) elements(list versionList, edits []provenance.Edit) (string, error) {
	element := list.Elements[list.elements[c.from]]
	source := c.sources.doc.Files[list.file]
	within := slices.DeleteFunc(slices.Clone(edits), func(e provenance.Edit) bool { return !element.Holds(e.Start) })
	var texts []string
	for _, v := range c.changes() {
		changed, err := c.sources.changed(list, c.index, c.from, v)
		if err != nil {
			return "", err
		}
		// What both change is a name of a version: with the prefix of the one and the
		// number of the other.
		all := changed
		for _, e := range within {
			same := slices.IndexFunc(changed, func(o provenance.Edit) bool { return o.Start == e.Start })
			if same < 0 {
				all = append(all, e)
				continue
			}
			all[same].Text = v.inName(e.Text)
		}
		text, err := c.sources.text(list.file, element, all)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	separator := ", "
	if bytes.IndexByte(source[list.Start:list.Elements[0].Start], '\n') >= 0 {
		separator = "," + lineEnd(source) + indentAt(source, element.Start)
	}
	return strings.Join(texts, separator), nil
}

// trace finds the literals that the runtime's ID and the names of its versions begin
// with, and that are in nothing else.
func (c *copying) trace(ctx context.Context) error {
	s := c.sources
	pointers := []string{fmt.Sprintf("/%d/ID", c.index)}
	for i := range c.template.Versions {
		pointers = append(pointers, versionPointer(c.index, i)+"/name")
	}
	var candidates []provenance.FileLiteral
	var marks []provenance.Edit
	for file, literals := range s.literals {
		for _, l := range literals {
			if strings.HasPrefix(l.Value, c.oldID) && strings.HasPrefix(c.tree.relative(file), c.oldFolder+"/") {
				candidates = append(candidates, provenance.FileLiteral{Literal: l, File: file})
				marks = append(marks, provenance.Edit{File: file, Start: l.CloseQuote, End: l.CloseQuote, Text: "~" + provenance.Fake(file, l.CloseQuote)})
			}
		}
	}
	traces, err := s.doc.Trace(ctx, marks, 0)
	if err != nil {
		return err
	}
	for i, trace := range traces {
		elsewhere := slices.ContainsFunc(trace.Hits, func(h provenance.Hit) bool { return !slices.Contains(pointers, s.doc.Strings[h.String].Pointer) })
		if len(trace.Hits) > 0 && !elsewhere {
			c.named = append(c.named, candidates[i])
		}
	}
	return nil
}

// names are the edits that give the runtime its ID, its versions their names, and
// what the source calls by the ID the new one.
func (c *copying) names(file string) []provenance.Edit {
	s := c.sources
	var edits []provenance.Edit
	for _, l := range c.named {
		if l.File == file {
			text := strings.Replace(string(s.doc.Files[file][l.Start:l.End]), c.oldID, c.newID, 1)
			edits = append(edits, provenance.Edit{File: file, Start: l.Start, End: l.End, Text: text})
		}
	}
	identifier := strings.ReplaceAll(c.newID, "-", "_")
	var uses []provenance.Edit
	for _, n := range s.outlines[file].Names {
		switch {
		case n.Name == identifier, n.Name == c.oldID && n.Inner:
			return edits // another value has that name
		case n.Name == c.oldID:
			uses = append(uses, provenance.Edit{File: file, Start: n.Start, End: n.End, Text: identifier})
		}
	}
	if keyword(identifier) {
		return edits
	}
	return append(edits, uses...)
}

// keyword tells whether a word of Jsonnet cannot be a name.
func keyword(word string) bool {
	return slices.Contains([]string{
		"assert", "else", "error", "false", "for", "function", "if", "import", "importbin", "importstr", "in", "local", "null",
		"self", "std", "super", "tailstrict", "then", "true",
	}, word)
}

// makefile is the text of a Makefile.
func (c *copying) makefile(text string) string {
	assignment := regexp.MustCompile(`(?m)^(RUNTIME\s*[:?]?=\s*)` + regexp.QuoteMeta(c.oldID) + `(\s*)$`)
	return c.commands(assignment.ReplaceAllString(text, "${1}"+c.newID+"${2}"))
}

// commands is a text in which commands of rtbuild name the new runtime.
func (c *copying) commands(text string) string {
	command := regexp.MustCompile(`(\brtbuild\s+[a-z]+\s+)` + regexp.QuoteMeta(c.oldID) + `\b`)
	return command.ReplaceAllString(text, "${1}"+c.newID)
}

// heading is the first line of a page, and its words.
var heading = regexp.MustCompile(`\A# [^\n]*`)

// page is the text of a README: its title, what users type, and the rows of its table
// of versions.
func (c *copying) page(text string) string {
	text = heading.ReplaceAllString(text, "# "+title(c.newID))
	var out strings.Builder
	for line := range strings.Lines(text) {
		row := strings.HasPrefix(line, "|")
		for _, v := range c.template.Versions {
			typed := "`" + c.oldID + v.Version + "`"
			if !row || !strings.Contains(line, typed) {
				continue
			}
			if v.Version == c.template.Versions[c.from].Version {
				for _, change := range c.changes() {
					out.WriteString(rowIn(strings.ReplaceAll(line, typed, "`"+c.newID+v.Version+"`"), change))
				}
			}
			line = ""
			break
		}
		out.WriteString(line)
	}
	return c.commands(out.String())
}

// expected is what the new runtime is to be, by what the template is. Where the
// template has the old version in a text, the new runtime, got, may have the new one.
func (c *copying) expected(template, got map[string]any) map[string]any {
	want := maps.Clone(template)
	want["ID"] = c.newID
	old, _ := template["versions"].([]any)
	gotten, _ := got["versions"].([]any)
	version, _ := old[c.from].(map[string]any)
	var versions []any
	for i, change := range c.changes() {
		var other any
		if i < len(gotten) {
			other = gotten[i]
		}
		versions = append(versions, c.expectedVersion(version, other, change))
	}
	want["versions"] = versions
	return want
}

func (c *copying) expectedVersion(old map[string]any, got any, v elementChange) map[string]any {
	want, _ := either(old, got, v.change).(map[string]any)
	want["version"] = v.new
	name, _ := old["name"].(string)
	want["name"] = v.inName(strings.Replace(name, c.oldID, c.newID, 1))
	images, _ := want["images"].([]any)
	was, _ := old["images"].([]any)
	for i := range images {
		image, _ := images[i].(map[string]any)
		before, _ := was[i].(map[string]any)
		text, _ := before["image"].(string)
		plain := digests.ReplaceAllString(text, "")
		if changed := v.in(c.in(plain)); changed != plain {
			text = changed
		}
		image["image"] = text
	}
	return want
}

// either is a value, with the old version in its strings replaced where other has it
// so.
func either(value, other any, c change) any {
	switch value := value.(type) {
	case string:
		if changed := c.inProse(value); changed == other {
			return changed
		}
		return value
	case []any:
		others, _ := other.([]any)
		list := make([]any, len(value))
		for i := range value {
			var o any
			if i < len(others) {
				o = others[i]
			}
			list[i] = either(value[i], o, c)
		}
		return list
	case map[string]any:
		others, _ := other.(map[string]any)
		object := map[string]any{}
		for key := range value {
			object[key] = either(value[key], others[key], c)
		}
		return object
	}
	return value
}
