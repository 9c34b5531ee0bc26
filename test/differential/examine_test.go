//go:build e2e

package differential

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	outcome  outcome
	image    image
	findings []finding
}

func (tr *trial) variantName(i int) string { return fmt.Sprintf("%s.%d", tr.c.name, i) }

func (tr *trial) find(r rule, v *variant, format string, args ...any) {
	tr.findings = append(tr.findings, finding{r, tr.c, v, fmt.Sprintf(format, args...)})
}

// examine releases some cases with their variants, and gives what is wrong.
func (s *suite) examine(t *testing.T, trials []*trial) []finding {
	t.Helper()
	var targets []built
	for _, tr := range trials {
		targets = append(targets, built{tr.c.name, tr.c.files, tr.c})
		for k, v := range tr.variants {
			targets = append(targets, built{tr.variantName(k), v.files, tr.c})
		}
	}
	r := newRepository(t, s.mirror, s.platforms...)
	r.write(t, targets, 0)
	outcomes := r.release(t, targets)
	var good []*trial
	for _, tr := range trials {
		if tr.outcome = outcomes[tr.c.name]; tr.outcome.Status == "built" {
			good = append(good, tr)
			continue
		}
		s.refused++
		if !s.shrinking {
			t.Logf("%s is refused: %s", tr.c.name, tr.outcome.Error)
		}
		tr.checkRefusal()
	}
	targets = slices.DeleteFunc(targets, func(b built) bool {
		number, _, _ := strings.Cut(b.name, ".")
		return outcomes[b.name].Status != "built" || outcomes[number].Status != "built"
	})
	if len(targets) == 0 {
		return findingsOf(trials)
	}
	// Version tags move when nothing fails.
	r.write(t, targets, 0)
	for name, o := range r.release(t, targets) {
		if o.Status != "fresh" || o.Digest != outcomes[name].Digest {
			t.Errorf("%s: released once more, it is %s with %s, not %s", name, o.Status, o.Digest, outcomes[name].Digest)
		}
	}
	for _, tr := range good {
		s.compare(t, store(filepath.Join(r.root, ".rtbuild/registry")), tr, outcomes)
	}
	for k := range variantCount {
		explainVariants(t, r, good, k, outcomes)
	}
	explainParent(t, r, good)
	s.releaseElsewhere(t, good)
	s.released += len(targets)
	return findingsOf(trials)
}

func findingsOf(trials []*trial) []finding {
	var all []finding
	for _, tr := range trials {
		all = append(all, tr.findings...)
	}
	return all
}

// checkRefusal wants a case of which no image is made to be one of which none
// can be made: the engine says so, or the context lacks what is asked for.
func (tr *trial) checkRefusal() {
	if !strings.Contains(tr.outcome.Error, "failed to solve: ") && !strings.Contains(tr.outcome.Error, ": the build reads ") {
		tr.find(ruleRefused, nil, "%s", tr.outcome.Error)
	}
}

// compare holds a case's image against its label and those of its variants.
func (s *suite) compare(t *testing.T, images store, tr *trial, outcomes map[string]outcome) {
	t.Helper()
	tr.image = images.read(t, tr.outcome.Digest)
	tr.compareLabel()
	for k := range tr.variants {
		v := &tr.variants[k]
		o := outcomes[tr.variantName(k)]
		if o.Status != "built" {
			if v.equal {
				tr.find(ruleRefused, v, "%s", o.Error)
			}
			continue
		}
		image := images.read(t, o.Digest)
		sameImage, sameInputs := image.content == tr.image.content, o.Fingerprint == tr.outcome.Fingerprint
		switch {
		case sameInputs && !sameImage:
			tr.find(ruleContent, v, "the images differ:\n%s", difference(tr.image.description, image.description))
		case sameInputs && o.Digest != tr.outcome.Digest:
			tr.find(ruleDigest, v, "the images differ:\n%s", difference(tr.image.details, image.details))
		case v.equal && !sameInputs:
			tr.find(ruleNeedless, v, "the fingerprints differ")
		case sameImage && !sameInputs && !v.loose && !tr.c.partial && v.changed != "" && !tr.hidden(v.changed):
			tr.find(ruleNeedless, v, "the fingerprints differ")
		}
		if sameInputs {
			s.fresh++
		} else {
			s.stale++
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
func explainVariants(t *testing.T, r *repository, trials []*trial, k int, outcomes map[string]outcome) {
	t.Helper()
	var asked []*trial
	for _, tr := range trials {
		if k < len(tr.variants) && outcomes[tr.variantName(k)].Status == "built" {
			tr.variants[k].files.write(t, r.folder(tr.c.name), 0)
			asked = append(asked, tr)
		}
	}
	explanations := r.explain(t, asked)
	for _, tr := range asked {
		v, e := &tr.variants[k], explanations[tr.c.name]
		switch same := outcomes[tr.variantName(k)].Fingerprint == tr.outcome.Fingerprint; {
		case e.Fresh != same:
			tr.find(ruleExplain, v, "it is fresh: %t; built, it has the same fingerprint: %t; %q", e.Fresh, same, e.Reasons)
		case !e.Fresh && strings.HasPrefix(v.what, "edit") && !strings.Contains(strings.Join(e.Reasons, "\n"), v.changed):
			tr.find(ruleExplain, v, "the reasons do not name %s: %q", v.changed, e.Reasons)
		}
		tr.c.files.write(t, r.folder(tr.c.name), 0)
	}
}

// explainParent changes a parent: what has a file of it is stale, and what does
// not name it is not.
func explainParent(t *testing.T, r *repository, trials []*trial) {
	t.Helper()
	parent := filepath.Join(r.root, "parents/envs/p.txt")
	write(t, parent, "edited\n")
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
	write(t, parent, parentToken)
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
