package scaffold

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/nearest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// sources are the manifests as they are written.
type sources struct {
	doc      *provenance.Document
	origins  map[string]provenance.Position
	outlines map[string]provenance.Outline
	literals map[string][]provenance.Literal
}

func (t *Tree) sources(ctx context.Context) (*sources, error) {
	doc, err := provenance.Load(ctx, t.Evaluator, t.Project.Tree.Entry)
	if err != nil {
		return nil, err
	}
	s := &sources{doc: doc, outlines: map[string]provenance.Outline{}, literals: map[string][]provenance.Literal{}}
	if s.origins, err = doc.Origins(ctx); err != nil {
		return nil, err
	}
	all, err := doc.Literals()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		s.literals[l.File] = append(s.literals[l.File], l.Literal)
	}
	for file := range doc.Imported() {
		if s.outlines[file], err = t.Evaluator.Outline(file, doc.Files[file]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// origin is the literal that the string at a pointer comes from; ok is false where
// that is not known.
func (s *sources) origin(pointer string) (literal provenance.FileLiteral, ok bool) {
	position, ok := s.origins[pointer]
	if !ok {
		return literal, false
	}
	for _, l := range s.literals[position.File] {
		if l.Line == position.Line && l.Column == position.Column {
			return provenance.FileLiteral{Literal: l, File: position.File}, true
		}
	}
	return literal, false
}

// A versionList is a list in a source, with an element for each of some versions.
type versionList struct {
	provenance.List
	file string
	// elements are the indexes of versions' elements, by the version's index.
	elements map[int]int
}

// versionLists are the lists in which a version of a runtime has an element that no
// other version shares, the likeliest first: which of them it is, evaluating tells.
func (s *sources) versionLists(runtime int, r *manifest.Runtime, version int) []versionList {
	own, ok := s.origin(versionPointer(runtime, version) + "/version")
	if !ok {
		return nil
	}
	var found []versionList
	for _, list := range s.outlines[own.File].Lists {
		candidate := versionList{List: list, file: own.File, elements: map[int]int{}}
		shared := false
		for i := range r.Versions {
			literal, ok := s.origin(versionPointer(runtime, i) + "/version")
			if !ok || literal.File != own.File {
				continue
			}
			for e, element := range list.Elements {
				if element.Holds(literal.Start) {
					candidate.elements[i] = e
					shared = shared || i != version && element.Holds(own.Start)
				}
			}
		}
		if _, ok := candidate.elements[version]; ok && !shared {
			found = append(found, candidate)
		}
	}
	slices.SortStableFunc(found, func(a, b versionList) int {
		return s.likelihood(b, len(r.Versions)) - s.likelihood(a, len(r.Versions))
	})
	return found
}

// likelihood ranks a list: the value of a field of that name, and one with just the
// versions for elements.
func (s *sources) likelihood(list versionList, versions int) int {
	rank := 0
	if len(list.Elements) == versions && len(list.elements) == versions {
		rank++
	}
	for _, field := range s.outlines[list.file].Fields {
		if field.Name == "versions" && field.Holds(list.Start) && field.End == list.End {
			rank += 2
		}
	}
	return rank
}

func versionPointer(runtime, version int) string {
	return fmt.Sprintf("/%d/versions/%d", runtime, version)
}

// An elementChange says what a version's element is to become.
type elementChange struct {
	change
	// eol is the new end of life, YYYY-MM-DD; keepsEOL leaves the old one.
	eol      string
	keepsEOL bool
	// fields are strings to have other values, by the names of their fields.
	fields map[string]string
	// unpinned tells of a reference whether its digest is another version's, or
	// another runtime's, though its tag may stay.
	unpinned func(ref reference.Reference) bool
}

// changed are the edits that make another version of an element.
func (s *sources) changed(list versionList, runtime, version int, c elementChange) ([]provenance.Edit, error) {
	element := list.Elements[list.elements[version]]
	source := s.doc.Files[list.file]
	eol, hasEOL := s.eolField(list.file, element)
	pointer := versionPointer(runtime, version)
	fields, err := s.fieldLiterals(list.file, element, c.fields)
	if err != nil {
		return nil, err
	}
	var edits []provenance.Edit
	for _, l := range s.literals[list.file] {
		if !element.Holds(l.Start) || hasEOL && eol.Holds(l.Start) {
			continue
		}
		old := string(source[l.Start:l.End])
		if field, ok := fields[l.Start]; ok {
			quote := string(source[l.CloseQuote])
			edits = append(edits, provenance.Edit{File: list.file, Start: l.Start, End: l.End, Text: quote + c.fields[field] + quote})
			continue
		}
		text := s.changedLiteral(provenance.FileLiteral{Literal: l, File: list.file}, old, pointer, c)
		if text != old {
			edits = append(edits, provenance.Edit{File: list.file, Start: l.Start, End: l.End, Text: text})
		}
	}
	switch {
	case c.keepsEOL:
	case c.eol == "" && hasEOL:
		edits = append(edits, removal(list.file, source, eol))
	case c.eol != "" && hasEOL:
		edits = append(edits, provenance.Edit{File: list.file, Start: eol.Start, End: eol.End, Text: "eol:: " + quoted(c.eol)})
	case c.eol != "":
		edit, ok := s.newEOL(list.file, element, c.eol)
		if !ok {
			return nil, fmt.Errorf("%s: the version here has no field version beside which its end of life could stand: add eol:: '%s' by hand, and run again without it",
				s.position(list.file, element.Start), c.eol)
		}
		edits = append(edits, edit)
	}
	return edits, nil
}

// fieldLiterals are the literals that are the values of fields in an element: the
// fields' names, by the literals' offsets.
func (s *sources) fieldLiterals(file string, element provenance.Range, wanted map[string]string) (map[int]string, error) {
	found := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		before := len(found)
		var known []string
		for _, field := range s.outlines[file].Fields {
			if !element.Holds(field.Start) {
				continue
			}
			known = append(known, field.Name)
			for _, l := range s.literals[file] {
				if field.Name == name && field.Holds(l.Start) && l.End == field.End {
					found[l.Start] = name
				}
			}
		}
		if len(found) == before {
			return nil, fmt.Errorf("%s: the version here has no field %s with a string for its value%s", s.position(file, element.Start), name, nearest.Question(name, known))
		}
	}
	return found, nil
}

func (s *sources) position(file string, offset int) provenance.Position {
	line, column := provenance.Line(s.doc.Files[file], offset)
	return provenance.Position{File: file, Line: line, Column: column}
}

// changedLiteral is the source of a literal for the other version.
func (s *sources) changedLiteral(l provenance.FileLiteral, text, pointer string, c elementChange) string {
	if s.is(l, pointer+"/name") {
		return c.inName(text)
	}
	if ref, err := reference.Parse(l.Value); err == nil && (ref.Tag != "" || ref.Digest != "") {
		plain := digests.ReplaceAllString(text, "")
		if changed := c.in(plain); changed != plain || c.unpinned(ref) {
			return changed
		}
		return text
	}
	if l.Value == c.old || strings.HasPrefix(l.Value, "Dockerfile") {
		return c.in(text)
	}
	return c.inProse(text)
}

// is tells whether the string at a pointer comes from a literal.
func (s *sources) is(l provenance.FileLiteral, pointer string) bool {
	return s.origins[pointer] == l.Position()
}

// eolField is the field for the end of life in an element.
func (s *sources) eolField(file string, element provenance.Range) (provenance.Field, bool) {
	for _, field := range s.outlines[file].Fields {
		if field.Name == "eol" && element.Holds(field.Start) {
			return field, true
		}
	}
	return provenance.Field{}, false
}

// newEOL puts an end of life behind the version of an element.
func (s *sources) newEOL(file string, element provenance.Range, eol string) (provenance.Edit, bool) {
	source := s.doc.Files[file]
	for _, field := range s.outlines[file].Fields {
		if field.Name != "version" || !element.Holds(field.Start) {
			continue
		}
		separator := ", "
		if indent := indentAt(source, field.Start); len(strings.TrimSpace(string(source[field.Start-len(indent):field.Start]))) == 0 && indent != "" {
			separator = "," + lineEnd(source) + indent
		}
		return provenance.Edit{File: file, Start: field.End, End: field.End, Text: separator + "eol:: " + quoted(eol)}, true
	}
	return provenance.Edit{}, false
}

func quoted(text string) string { return "'" + text + "'" }

// text is what a range of a source becomes by edits in it.
func (s *sources) text(file string, part provenance.Range, edits []provenance.Edit) (string, error) {
	var moved []provenance.Edit
	for _, e := range edits {
		moved = append(moved, provenance.Edit{File: e.File, Start: e.Start - part.Start, End: e.End - part.Start, Text: e.Text})
	}
	out, err := provenance.Apply(s.doc.Files[file][part.Start:part.End], moved)
	return string(out), err
}

// parseVersions wants numbers with dots between them, each once.
func parseVersions(versions []string) error {
	for i, v := range versions {
		for part := range strings.SplitSeq(v, ".") {
			if _, err := strconv.ParseUint(part, 10, 64); err != nil {
				return inputf("%q is not a version: want numbers with dots between them, as 3.14, which is what the controller takes", v)
			}
		}
		if slices.Contains(versions[:i], v) {
			return inputf("version %s is named twice", v)
		}
	}
	return nil
}
