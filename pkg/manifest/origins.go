package manifest

import (
	"sort"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// origins finds the nearest known position for any place in the document.
// Only strings have positions of their own; for what is missing or of a wrong
// type the nearest string above is taken.
type origins struct {
	entry    string
	known    map[string]provenance.Position
	pointers []string // sorted
}

func newOrigins(known map[string]provenance.Position, entry string) origins {
	o := origins{entry: entry, known: known}
	for pointer := range known {
		o.pointers = append(o.pointers, pointer)
	}
	sort.Strings(o.pointers)
	return o
}

// at returns the position of pointer, else of the string nearest to it: one
// inside it, else one inside its parent, and so on up to the document, where
// the root document's own file is all there is to say.
func (o origins) at(pointer string) provenance.Position {
	if p, ok := o.known[pointer]; ok {
		return p
	}
	for p := pointer; p != ""; p = p[:strings.LastIndexByte(p, '/')] {
		if found, ok := o.first(p + "/"); ok {
			return found
		}
	}
	return provenance.Position{File: o.entry}
}

// first returns the earliest position in one file among the strings whose
// pointers start with prefix.
func (o origins) first(prefix string) (provenance.Position, bool) {
	var best provenance.Position
	found := false
	for i := sort.SearchStrings(o.pointers, prefix); i < len(o.pointers) && strings.HasPrefix(o.pointers[i], prefix); i++ {
		p := o.known[o.pointers[i]]
		if !found || p.File == best.File && p.Line < best.Line {
			best, found = p, true
		}
	}
	return best, found
}

// files lists the files that strings under pointer come from, in order of the
// pointers, the runtime's own ID first.
func (o origins) files(pointer string) []string {
	var files []string
	if p, ok := o.known[pointer+"/ID"]; ok {
		files = append(files, p.File)
	}
	for i := sort.SearchStrings(o.pointers, pointer+"/"); i < len(o.pointers) && strings.HasPrefix(o.pointers[i], pointer+"/"); i++ {
		files = append(files, o.known[o.pointers[i]].File)
	}
	return files
}
