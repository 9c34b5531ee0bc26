// Package nearest finds what somebody may have meant who typed a name that is
// none.
package nearest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// most is how many names are worth reading.
const most = 3

// Names are the known names nearest to a wanted one, three at most, the nearest
// first and those equally near in the order of known. None is near that differs
// in more than a quarter of the letters and one more, or in all, unless one of the
// two contains the other.
func Names(wanted string, known []string) []string {
	type near struct {
		name     string
		distance int
	}
	var found []near
	lower := strings.ToLower(wanted)
	for _, name := range known {
		if slices.ContainsFunc(found, func(n near) bool { return n.name == name }) {
			continue
		}
		other := strings.ToLower(name)
		distance := levenshtein.Distance(lower, other, nil)
		if distance <= 1+len(wanted)/4 && distance < max(len(lower), len(other)) || contains(lower, other) || contains(other, lower) {
			found = append(found, near{name, distance})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, n := range found[:min(most, len(found))] {
		names = append(names, n.name)
	}
	return names
}

// contains tells whether a name of three letters or more is part of another.
func contains(whole, part string) bool { return len(part) >= 3 && strings.Contains(whole, part) }

// Question is "; did you mean a, b or c?" with the names nearest to a wanted one,
// to be added to an error; empty where none is near.
func Question(wanted string, known []string) string {
	names := Names(wanted, known)
	switch len(names) {
	case 0:
		return ""
	case 1:
		return "; did you mean " + names[0] + "?"
	}
	last := len(names) - 1
	return "; did you mean " + strings.Join(names[:last], ", ") + " or " + names[last] + "?"
}
