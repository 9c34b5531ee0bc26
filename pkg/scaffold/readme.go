package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

const readmeName = "README.md"

// addRow adds a row for the new version to the table of versions in the runtime's
// README, if it has one: a copy of the old version's row, with values replaced.
func (a *Addition) addRow(r *manifest.Runtime, c elementChange, replaced map[string]string) error {
	if r.Folder == "" {
		return nil
	}
	file := a.tree.path(r.Folder + "/" + readmeName)
	source, ok, err := readIfThere(file)
	if !ok || err != nil {
		return err
	}
	lines := strings.SplitAfter(string(source), "\n")
	row := rowOf(lines, r.ID, c.old)
	if row < 0 || rowOf(lines, r.ID, c.new) >= 0 {
		return nil
	}
	at := row + 1
	for _, v := range r.Versions {
		other := rowOf(lines, r.ID, v.Version)
		if other < 0 {
			continue
		}
		if compareVersions(v.Version, c.new) > 0 {
			at = other
			break
		}
		at = other + 1
	}
	added := rowIn(lines[row], c)
	for old, value := range replaced {
		added = replaceWhole(added, old, value, name, name)
	}
	changed := strings.Join(lines[:at], "") + added + strings.Join(lines[at:], "")
	return a.replace(file, source, []byte(changed))
}

// readIfThere reads a page; ok is false where there is none.
func readIfThere(file string) (source []byte, ok bool, err error) {
	source, err = os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading a table of versions: %w", err)
	}
	return source, true, nil
}

// rowOf is the index of the first row of a table that names what users type for a
// version; -1 if there is none.
func rowOf(lines []string, id, version string) int {
	for i, line := range lines {
		if strings.HasPrefix(line, "|") && strings.Contains(line, "`"+id+version+"`") {
			return i
		}
	}
	return -1
}

// day is a date in a table.
var day = regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b`)

// rowIn is a row of the table for another version, with its end of life.
func rowIn(row string, c elementChange) string {
	if c.keepsEOL {
		return c.in(row)
	}
	eol := c.eol
	if eol == "" {
		eol = "-"
	}
	cells := strings.Split(row, "|")
	for i, cell := range cells {
		if day.MatchString(cell) {
			cells[i] = day.ReplaceAllLiteralString(cell, eol)
		} else {
			cells[i] = c.in(cell)
		}
	}
	return strings.Join(cells, "|")
}
