//go:build e2e

package differential

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A suite releases cases that have the platforms in common.
type suite struct {
	platforms []string
	mirror    string
	shrinking bool

	released, refused, stale, fresh int
	findings                        []finding
}

// A finding is something wrong with a case, or with one of its variants.
type finding struct {
	rule rule
	c    *testCase
	v    *variant
	text string
}

// A rule is what does not hold.
type rule string

const (
	ruleRefused   rule = "an image can be made of it"
	ruleListed    rule = "what is in the image is listed"
	ruleImage     rule = "what is listed is in the image"
	ruleContent   rule = "one fingerprint, one content"
	ruleDigest    rule = "one fingerprint, one digest"
	ruleNeedless  rule = "one content, one fingerprint"
	ruleExplain   rule = "explain says what a build finds"
	ruleElsewhere rule = "another clone makes the same image"
)

func (f finding) String() string {
	text := f.c.name
	if f.v != nil {
		text += ", " + f.v.what
	}
	return fmt.Sprintf("%s: %q does not hold: %s", text, f.rule, f.text)
}

// A trial is a case with its variants and what became of them. Its targets have
// the case's name, and that with the variant's number.
type trial struct {
	c        *testCase
	variants []variant
	said     []explanation // of the variants; the zero value where none can be told
	chosen   []variant     // what is built of them
	outcome  outcome
	image    image
	findings []finding
}

func (tr *trial) chosenName(i int) string { return fmt.Sprintf("%s.%d", tr.c.name, i) }

// choose puts the variants together that are said to change nothing, each path as
// the first of them has it, and adds the first that would tell of a needless
// change.
func (tr *trial) choose() {
	same := variant{what: "", files: tr.c.files.clone()}
	var other []variant
	for k, v := range tr.variants {
		switch {
		case tr.said[k].Fresh:
			for _, name := range union(v.files, tr.c.files) {
				before, after := tr.c.files[name], v.files[name]
				if same.files[name] != before || before == after {
					continue
				}
				if after.kind == "" {
					same.files.remove(name)
				} else {
					same.files[name] = after
				}
			}
			same.what = strings.TrimPrefix(same.what+", "+v.what, ", ")
		case tr.said[k].Target != "" && !v.loose && v.changed != "" && len(other) == 0:
			other = append(other, v)
		}
	}
	if tr.chosen = other; same.what != "" {
		tr.chosen = append([]variant{same}, other...)
	}
}

// union are the paths of two trees, in order.
func union(a, b tree) []string {
	all := a.clone()
	for name, e := range b {
		all[name] = e
	}
	return all.paths()
}

func (tr *trial) find(r rule, v *variant, format string, args ...any) {
	tr.findings = append(tr.findings, finding{r, tr.c, v, fmt.Sprintf(format, args...)})
}

// examine releases some cases, asks what their variants change, and gives what is
// wrong. Of the variants, those that are said to change nothing are built all at
// once, as one, and of the others one.
func (s *suite) examine(t *testing.T, trials []*trial) []finding {
	t.Helper()
	r := newRepository(t, s.mirror, s.platforms...)
	images := store(filepath.Join(r.root, ".rtbuild/registry"))
	release := func(trials []*trial) map[string]outcome {
		var targets []built
		for _, tr := range trials {
			targets = append(targets, built{tr.c.name, tr.c.files, tr.c})
			for k, v := range tr.chosen {
				targets = append(targets, built{tr.chosenName(k), v.files, tr.c})
			}
		}
		r.write(t, targets, 0)
		s.released += len(targets)
		return r.release(t, targets)
	}
	good := s.keepBuilt(t, images, trials, release(trials))
	if len(good) == 0 {
		return findingsOf(trials)
	}
	if len(good) < len(trials) {
		release(good) // version tags move when nothing fails
	}
	for k := range variantCount {
		s.explainVariants(t, r, good, k)
	}
	explainParent(t, r, good)
	for _, tr := range good {
		tr.choose()
	}
	again := release(good)
	for _, tr := range good {
		if o := again[tr.c.name]; o.Status != "fresh" || o.Digest != tr.outcome.Digest {
			t.Errorf("%s: released once more, it is %s with %s, not %s", tr.c.name, o.Status, o.Digest, tr.outcome.Digest)
		}
		s.compare(t, images, tr, again)
	}
	s.releaseElsewhere(t, good)
	return findingsOf(trials)
}

// keepBuilt notes what became of the cases, and gives those of which there is an
// image.
func (s *suite) keepBuilt(t *testing.T, images store, trials []*trial, outcomes map[string]outcome) []*trial {
	t.Helper()
	var good []*trial
	for _, tr := range trials {
		if tr.outcome = outcomes[tr.c.name]; tr.outcome.Status == "built" {
			good = append(good, tr)
			tr.image = images.read(t, tr.outcome.Digest)
			tr.compareLabel()
			continue
		}
		s.refused++
		if !s.shrinking {
			t.Logf("%s is refused: %s", tr.c.name, tr.outcome.Error)
		}
		tr.checkRefusal(nil, tr.outcome)
	}
	return good
}

func findingsOf(trials []*trial) []finding {
	var all []finding
	for _, tr := range trials {
		all = append(all, tr.findings...)
	}
	return all
}

// checkRefusal wants what no image is made of to be something of which none can be
// made: the engine says so, or the context lacks what is asked for.
func (tr *trial) checkRefusal(v *variant, o outcome) {
	if !strings.Contains(o.Error, "failed to solve: ") && !strings.Contains(o.Error, ": the build reads ") {
		tr.find(ruleRefused, v, "%s", o.Error)
	}
}

// compare holds a case's image against those of its variants.
func (s *suite) compare(t *testing.T, images store, tr *trial, outcomes map[string]outcome) {
	t.Helper()
	for k := range tr.chosen {
		v := &tr.chosen[k]
		o := outcomes[tr.chosenName(k)]
		if o.Status != "built" {
			tr.checkRefusal(v, o)
			continue
		}
		image := images.read(t, o.Digest)
		sameImage, sameInputs := image.content == tr.image.content, o.Fingerprint == tr.outcome.Fingerprint
		switch {
		case sameInputs && !sameImage:
			tr.find(ruleContent, v, "the images differ:\n%s", difference(tr.image.description, image.description))
		case sameInputs && o.Digest != tr.outcome.Digest:
			tr.find(ruleDigest, v, "the images differ:\n%s", difference(tr.image.details, image.details))
		case sameImage && !sameInputs && !tr.c.partial && v.changed != "" && !tr.hidden(v.changed):
			tr.find(ruleNeedless, v, "the fingerprints differ")
		}
	}
}

// compareLabel wants the files of the context that the image holds to be those
// that its label lists.
func (tr *trial) compareLabel() {
	for _, name := range tr.c.files.of(file) {
		inside, ok := tr.c.inside(name)
		found := tokens(tr.c.files[name].content)
		if !ok || len(found) != 1 {
			continue
		}
		in, listed := tr.image.tokens[found[0]], tr.image.listed[inside]
		if in && !listed {
			tr.find(ruleListed, nil, "%s", inside)
		}
		if listed && !in && !tr.c.partial && !tr.hidden(inside) {
			tr.find(ruleImage, nil, "%s", inside)
		}
	}
}

// hidden tells whether another file of the same name may have taken a file's
// place in the image: wildcards bring both into one folder.
func (tr *trial) hidden(inside string) bool {
	same := 0
	for listed := range tr.image.listed {
		if filepath.Base(listed) == filepath.Base(inside) {
			same++
		}
	}
	return same > 1
}

// explainVariants replaces each case by one of its variants and asks what is
// stale.
func (s *suite) explainVariants(t *testing.T, r *repository, trials []*trial, k int) {
	t.Helper()
	var asked []*trial
	for _, tr := range trials {
		if k < len(tr.variants) {
			tr.variants[k].files.write(t, r.folder(tr.c.name), 0)
			asked = append(asked, tr)
		}
	}
	explanations := r.explain(t, asked)
	for _, tr := range asked {
		v, e := &tr.variants[k], explanations[tr.c.name]
		tr.said = append(tr.said, e)
		switch {
		case e.Target == "" && v.equal:
			tr.find(ruleRefused, v, "it cannot be explained")
		case e.Target == "":
		case e.Fresh != (e.Fingerprint == tr.outcome.Fingerprint):
			tr.find(ruleExplain, v, "it is fresh: %t, with the fingerprint %.12s after %.12s", e.Fresh, e.Fingerprint, tr.outcome.Fingerprint)
		case e.Fresh:
			s.fresh++
		case v.equal:
			tr.find(ruleNeedless, v, "the fingerprints differ: %q", e.Reasons)
		case strings.HasPrefix(v.what, "edit") && !strings.Contains(strings.Join(e.Reasons, "\n"), v.changed):
			tr.find(ruleExplain, v, "the reasons do not name %s: %q", v.changed, e.Reasons)
		default:
			s.stale++
		}
		tr.c.files.write(t, r.folder(tr.c.name), 0)
	}
}

// explainParent changes a parent: what has a file of it is stale, and what does
// not name it is not.
func explainParent(t *testing.T, r *repository, trials []*trial) {
	t.Helper()
	parent := filepath.Join(r.root, "parents/envs/p.txt")
	harness.Write(t, parent, "edited\n")
	explanations := r.explain(t, trials)
	for _, tr := range trials {
		named := strings.Contains(strings.Join(tr.c.instructions, "\n"), "acme/envs")
		mirrored := strings.Contains(strings.Join(tr.c.instructions, "\n"), "ext/envs")
		switch e := explanations[tr.c.name]; {
		case e.Fresh && named && !mirrored && tr.image.tokens[strings.TrimSpace(parentToken)]:
			tr.find(ruleExplain, nil, "it is fresh after a change of its parent")
		case !e.Fresh && !named:
			tr.find(ruleExplain, nil, "it is stale after a change of an image that is not its parent: %q", e.Reasons)
		}
	}
	harness.Write(t, parent, parentToken)
}

// releaseElsewhere releases the cases from another path, under another umask, on
// an engine without a cache.
func (s *suite) releaseElsewhere(t *testing.T, trials []*trial) {
	t.Helper()
	r := newRepository(t, s.mirror, s.platforms...)
	var targets []built
	for _, tr := range trials {
		targets = append(targets, built{tr.c.name, tr.c.files, tr.c})
	}
	r.write(t, targets, 0o077)
	outcomes := r.release(t, targets)
	for _, tr := range trials {
		if o := outcomes[tr.c.name]; o.Fingerprint != tr.outcome.Fingerprint || o.Digest != tr.outcome.Digest {
			tr.find(ruleElsewhere, nil, "%s with the fingerprint %.12s and the digest %s, not %.12s and %s; %s", o.Status, o.Fingerprint, o.Digest, tr.outcome.Fingerprint, tr.outcome.Digest, o.Error)
		}
	}
}

// difference are the lines that one of two descriptions has.
func difference(a, b string) string {
	var out strings.Builder
	was, is := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			out.WriteString("- " + line + "\n")
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			out.WriteString("+ " + line + "\n")
		}
	}
	return out.String()
}
