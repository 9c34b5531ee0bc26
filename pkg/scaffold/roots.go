package scaffold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// importPattern is an element that imports a manifest, and nothing else.
var importPattern = regexp.MustCompile(`^(\(?\s*import\s+)(['"])([^'"]+)(['"]\s*\)?)$`)

// A NotExtendedError says that no list is known to which a runtime can be added.
type NotExtendedError struct {
	// Entry is the root document, and Line what it would have to hold.
	Entry, Line string
	reason      error
}

func (e *NotExtendedError) Error() string {
	text := fmt.Sprintf("%s: no list is found in it that a runtime could be added to", e.Entry)
	if e.reason != nil {
		text += " (" + e.reason.Error() + ")"
	}
	return text
}

// A rootList is a list of runtimes in a source.
type rootList struct {
	provenance.List
	file string
	// imports are the paths that elements import, relative to the tree's root; ""
	// for other elements.
	imports []string
}

// importing are the edits that import a manifest, a path relative to the root, in the
// root document, where it belongs by its name. Which list it is, is found by adding
// the runtime of another manifest, which is there already, once more.
func (t *Tree) importing(ctx context.Context, s *sources, manifestPath string) ([]provenance.Edit, error) {
	entry := t.Project.Tree.Entry
	result := &NotExtendedError{Entry: entry, Line: importOf(t, entry, manifestPath)}
	for _, list := range t.rootLists(s, manifestPath) {
		edits := t.imported(s, list, manifestPath)
		err := t.proveImport(ctx, s, list)
		if err == nil {
			return edits, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if result.reason == nil {
			result.reason = err
		}
	}
	return nil, result
}

func importOf(t *Tree, file, manifestPath string) string {
	relative, err := filepath.Rel(filepath.Dir(file), t.path(manifestPath))
	if err != nil {
		relative = t.path(manifestPath)
	}
	return "import " + quoted(filepath.ToSlash(relative))
}

// rootLists are the lists that may be of runtimes, the likeliest first: those that
// import manifests from the same folder of runtimes, from others, and those without
// elements.
func (t *Tree) rootLists(s *sources, manifestPath string) []rootList {
	suite, _, _ := strings.Cut(manifestPath, "/")
	rank := func(l rootList) int {
		best := 0
		for _, path := range l.imports {
			switch {
			case strings.HasPrefix(path, suite+"/"):
				return 2
			case path != "":
				best = 1
			}
		}
		return best
	}
	var found []rootList
	for file, outline := range s.outlines {
		relative := t.relative(file)
		if !filepath.IsLocal(filepath.FromSlash(relative)) || strings.Contains("/"+relative, "/vendor/") {
			continue
		}
		for _, list := range outline.Lists {
			candidate := rootList{List: list, file: file, imports: make([]string, len(list.Elements))}
			for i, element := range list.Elements {
				if m := importPattern.FindSubmatch(s.doc.Files[file][element.Start:element.End]); m != nil {
					candidate.imports[i] = t.relative(filepath.Join(filepath.Dir(file), string(m[3])))
				}
			}
			if file == t.Project.Tree.Entry || rank(candidate) > 0 {
				found = append(found, candidate)
			}
		}
	}
	slices.SortFunc(found, func(a, b rootList) int {
		if byRank := rank(b) - rank(a); byRank != 0 {
			return byRank
		}
		if a.file != b.file {
			return strings.Compare(a.file, b.file)
		}
		return a.Start - b.Start
	})
	return found
}

// imported are the edits that import a manifest in a list: written as its neighbours
// are, in order among those of its folder, and at the end where there are none.
func (t *Tree) imported(s *sources, list rootList, manifestPath string) []provenance.Edit {
	suite, _, _ := strings.Cut(manifestPath, "/")
	after, first := len(list.Elements)-1, -1
	for i, path := range list.imports {
		if !strings.HasPrefix(path, suite+"/") {
			continue
		}
		if first < 0 {
			first, after = i, i-1
		}
		if path < manifestPath {
			after = i
		}
	}
	source := s.doc.Files[list.file]
	line := importOf(t, list.file, manifestPath)
	for i := range list.imports {
		element := source[list.Elements[i].Start:list.Elements[i].End]
		if m := importPattern.FindSubmatch(element); m != nil {
			line = string(m[1]) + strings.ReplaceAll(strings.TrimPrefix(line, "import "), "'", string(m[2])) + strings.TrimPrefix(string(m[4]), string(m[2]))
			break
		}
	}
	if first >= 0 && after < first {
		return []provenance.Edit{before(list.file, source, list.Elements[first], line)}
	}
	return insertion(list.file, source, list.List, after, line)
}

// proveImport evaluates the document with a runtime twice: it must be as before with
// that one more.
func (t *Tree) proveImport(ctx context.Context, s *sources, list rootList) error {
	element := "{}"
	var want any = map[string]any{}
	before, err := documentOf(s.doc.JSON)
	if err != nil {
		return err
	}
	for i, r := range t.Project.Tree.Runtimes {
		if r.File != "" && r.File != t.Project.Tree.Entry {
			element, want = importOf(t, list.file, t.relative(r.File)), before[i]
			break
		}
	}
	out, err := s.doc.EvaluateEdited(ctx, insertion(list.file, s.doc.Files[list.file], list.List, len(list.Elements)-1, element))
	if err != nil {
		return err
	}
	var after []any
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	decoder.UseNumber()
	if err := decoder.Decode(&after); err != nil {
		return err
	}
	if len(after) != len(before)+1 {
		return fmt.Errorf("with one more in the list there are %d runtimes instead of %d", len(after), len(before)+1)
	}
	// One of them is twice in the list: what is left without it are the others.
	for i := range after {
		if reflect.DeepEqual(after[i], want) && same(slices.Delete(slices.Clone(after), i, i+1), before) {
			return nil
		}
	}
	return errors.New("with one more in the list other runtimes are different")
}

func same(list []any, document []map[string]any) bool {
	for i := range document {
		if !reflect.DeepEqual(list[i], any(document[i])) {
			return false
		}
	}
	return true
}
