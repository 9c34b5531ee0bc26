package scaffold

import (
	"path"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A listing is the table of runtimes in the README of the root: rows that link to the
// README of a runtime's folder, with a cell of its versions.
type listing struct{ lines []string }

// listing reads the README of the root; ok is false where there is none.
func (a *Addition) listing() (l listing, source []byte, ok bool, err error) {
	source, ok, err = readIfThere(a.tree.path(readmeName))
	return listing{strings.SplitAfter(string(source), "\n")}, source, ok, err
}

// row is the index of a runtime's row; -1 if it has none.
func (l listing) row(folder string) int {
	return slices.IndexFunc(l.lines, func(line string) bool {
		return strings.HasPrefix(line, "|") && strings.Contains(line, "]("+folder+"/"+readmeName+")")
	})
}

// withVersions is a row with other versions in the cell that lists those of a runtime.
func withVersions(row string, r *manifest.Runtime, versions []string) string {
	var old []string
	for _, v := range r.Versions {
		old = append(old, v.Version)
	}
	cells := strings.Split(row, "|")
	for i, cell := range cells {
		if strings.TrimSpace(cell) == strings.Join(old, ", ") {
			cells[i] = " " + strings.Join(versions, ", ") + " "
		}
	}
	return strings.Join(cells, "|")
}

// listVersion adds the version to the runtime's row.
func (a *Addition) listVersion(r *manifest.Runtime) error {
	l, source, ok, err := a.listing()
	row := l.row(r.Folder)
	if !ok || err != nil || row < 0 {
		return err
	}
	versions := slices.Clone(a.Versions)
	for _, v := range r.Versions {
		versions = append(versions, v.Version)
	}
	slices.SortFunc(versions, compareVersions)
	changed := withVersions(l.lines[row], r, versions)
	if changed == l.lines[row] {
		return nil
	}
	l.lines[row] = changed
	return a.replace(a.tree.path(readmeName), source, []byte(strings.Join(l.lines, "")))
}

// listed is the runtime of the table's last row, or of the last one of the addition's
// suite if it has runtimes; nil if there is no row.
func (a *Addition) listed(l listing) *manifest.Runtime {
	var last *manifest.Runtime
	rank := func(r *manifest.Runtime) int {
		row := l.row(r.Folder)
		if path.Dir(r.Folder) == path.Dir(a.Folder) {
			row += len(l.lines)
		}
		return row
	}
	for i := range a.tree.Project.Tree.Runtimes {
		r := &a.tree.Project.Tree.Runtimes[i]
		if l.row(r.Folder) >= 0 && (last == nil || rank(r) > rank(last)) {
			last = r
		}
	}
	return last
}

// onlyNames is a row with nothing in the cells that neither link nor list versions:
// what they say is true of another runtime.
func onlyNames(row string, versions []string) string {
	cells := strings.Split(row, "|")
	for i := 1; i < len(cells)-1; i++ {
		if text := strings.TrimSpace(cells[i]); text != strings.Join(versions, ", ") && !strings.Contains(text, "/"+readmeName+")") {
			cells[i] = " "
		}
	}
	return strings.Join(cells, "|")
}

// listRuntime adds a row for a new runtime, behind the last one of its suite: like that
// of the runtime that it is a copy of, and of a blank one with its name and versions
// alone.
func (a *Addition) listRuntime(template *manifest.Runtime) error {
	l, source, ok, err := a.listing()
	isCopy := template != nil
	if !isCopy {
		template = a.listed(l)
	}
	if !ok || err != nil || template == nil || l.row(a.Folder) >= 0 {
		return err
	}
	row := l.row(template.Folder)
	if row < 0 {
		return nil
	}
	suite, _, _ := strings.Cut(a.Folder, "/")
	at := row
	for i := row; i < len(l.lines) && strings.HasPrefix(l.lines[i], "|"); i++ {
		if other, _, _ := strings.Cut(template.Folder, "/"); strings.Contains(l.lines[i], "]("+suite+"/") || other != suite {
			at = i
		}
	}
	changed := withVersions(l.lines[row], template, a.Versions)
	if !isCopy {
		changed = onlyNames(changed, a.Versions)
	}
	changed = strings.ReplaceAll(strings.ReplaceAll(changed, "("+template.Folder+"/", "("+a.Folder+"/"), "`"+template.ID+"`", "`"+a.Runtime+"`")
	l.lines = slices.Insert(l.lines, at+1, changed)
	return a.replace(a.tree.path(readmeName), source, []byte(strings.Join(l.lines, "")))
}
