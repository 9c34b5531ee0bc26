//go:build e2e

package differential

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A reduction takes something away from a case and from a variant of it; the
// variant may be nil.
type reduction func(c *testCase, v *variant)

// shrink takes away what a finding does not need. All that can be taken away by
// itself is tried in one release, and then much of that at once.
func (s *suite) shrink(t *testing.T, f finding) finding {
	t.Helper()
	for range 6 {
		var useless []reduction
		reductions := f.reductions()
		for i, found := range s.try(t, f, reductions) {
			if found != nil {
				useless = append(useless, reductions[i])
			}
		}
		if len(useless) == 0 {
			return f
		}
		// Files come before instructions, and either may need the other.
		half := len(useless) / 2
		found := s.try(t, f, []reduction{together(useless), together(useless[half:]), together(useless[:half]), useless[0]})
		smaller := slices.IndexFunc(found, func(f *finding) bool { return f != nil })
		if smaller < 0 {
			return f
		}
		f = *found[smaller]
	}
	return f
}

func together(all []reduction) reduction {
	return func(c *testCase, v *variant) {
		for _, reduce := range all {
			reduce(c, v)
		}
	}
}

// try examines what each reduction leaves: it gives what breaks the same rule,
// or nil.
func (s *suite) try(t *testing.T, f finding, reductions []reduction) []*finding {
	t.Helper()
	var trials []*trial
	for i, reduce := range reductions {
		c := *f.c
		c.name, c.files, c.instructions, c.args = strconv.Itoa(i), f.c.files.clone(), slices.Clone(f.c.instructions), maps.Clone(f.c.args)
		tr := &trial{c: &c}
		if f.v != nil {
			v := *f.v
			v.files = v.files.clone()
			tr.variants = []variant{v}
			reduce(&c, &tr.variants[0])
		} else {
			reduce(&c, nil)
		}
		trials = append(trials, tr)
	}
	found := make([]*finding, len(reductions))
	for _, other := range (&suite{platforms: s.platforms, mirror: s.mirror, shrinking: true}).examine(t, trials) {
		if i, err := strconv.Atoi(other.c.name); err == nil && other.rule == f.rule && (f.v == nil) == (other.v == nil) {
			found[i] = &other
		}
	}
	return found
}

// reductions are all single ones that leave the variant's difference alone.
func (f finding) reductions() []reduction {
	var all []reduction
	for _, name := range f.c.files.paths() {
		if name == f.c.dockerfile || name == f.c.context || f.v != nil && f.v.files[name] != f.c.files[name] && f.v.changed != "" {
			continue
		}
		all = append(all, func(c *testCase, v *variant) {
			delete(c.files, name)
			if v != nil {
				delete(v.files, name)
			}
		})
	}
	if f.v != nil && f.v.files[f.c.dockerfile].content != f.c.files[f.c.dockerfile].content {
		return all
	}
	for _, line := range f.c.instructions {
		if strings.HasPrefix(line, "FROM ") || strings.HasPrefix(line, "ARG ") {
			continue // others may need it, and one that cannot be read ends the release
		}
		all = append(all, func(c *testCase, v *variant) {
			if i := slices.Index(c.instructions, line); i >= 0 {
				c.instructions = slices.Delete(c.instructions, i, i+1)
			}
			c.writeDockerfile()
			if v != nil {
				v.files[c.dockerfile] = c.files[c.dockerfile].with(v.files[c.dockerfile].mode)
			}
		})
	}
	return all
}
