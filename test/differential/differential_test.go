//go:build e2e

package differential

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	batchSize    = 25 // cases in one release
	variantCount = 6  // of each case, at most
	printedTrees = 5  // of what fails
)

// number is an environment variable's, or a default.
func number(tb testing.TB, name string, otherwise uint64) uint64 {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestImages releases random cases.
func TestImages(t *testing.T) {
	seed := number(t, "RTBUILD_E2E_SEED", uint64(time.Now().UnixNano())%1_000_000)
	count := int(number(t, "RTBUILD_E2E_CASES", 200))
	first := int(number(t, "RTBUILD_E2E_FIRST", 0))
	t.Logf("RTBUILD_E2E_SEED=%d RTBUILD_E2E_CASES=%d", seed, count)
	for _, platforms := range [][]string{nil, {"linux/amd64", "linux/arm64"}} {
		share := count - count/5 // one case in five is for two platforms
		if platforms != nil {
			share = count / 5
		}
		name := "own platform"
		if platforms != nil {
			name = strings.Join(platforms, " ")
		}
		t.Run(name, func(t *testing.T) {
			s := &suite{seed: seed, platforms: platforms, mirror: newMirror(t, platforms...)}
			for done := 0; done < share; done += batchSize {
				s.batch(t, first+done, min(batchSize, share-done))
			}
			s.report(t)
		})
	}
}

// A suite collects what batches find.
type suite struct {
	seed      uint64
	platforms []string
	mirror    string

	released, refused, stale, fresh int
	findings                        []finding
}

// A finding is something wrong with a case, or with one of its variants.
type finding struct {
	c    *testCase
	v    *variant
	text string
}

// A trial is a case with its variants and what became of them. Its targets have
// the case's name, and that with the variant's number.
type trial struct {
	c        *testCase
	variants []variant
	outcome  outcome
	image    image
}

func (tr *trial) variantName(i int) string { return fmt.Sprintf("%s.%d", tr.c.name, i) }

func (s *suite) find(c *testCase, v *variant, format string, args ...any) {
	s.findings = append(s.findings, finding{c, v, fmt.Sprintf(format, args...)})
}

// batch releases some cases with their variants and compares.
func (s *suite) batch(t *testing.T, first, count int) {
	t.Helper()
	var trials []*trial
	var targets []built
	for i := range count {
		g := newGenerator(s.seed, first+i, len(s.platforms) > 1)
		tr := &trial{c: g.c, variants: g.variants(variantCount)}
		trials = append(trials, tr)
		targets = append(targets, built{g.c.name, g.c.files, g.c})
		for k, v := range tr.variants {
			targets = append(targets, built{tr.variantName(k), v.files, g.c})
		}
	}
	r := newRepository(t, s.mirror, s.platforms...)
	r.write(t, targets, 0)
	outcomes := r.release(t, targets)

	trials = slices.DeleteFunc(trials, func(tr *trial) bool {
		tr.outcome = outcomes[tr.c.name]
		if tr.outcome.Status == "built" {
			return false
		}
		s.refuse(t, tr)
		return true
	})
	targets = slices.DeleteFunc(targets, func(b built) bool {
		return outcomes[b.name].Status != "built" || outcomes[strings.Split(b.name, ".")[0]].Status != "built"
	})
	// Version tags move when nothing fails.
	r.write(t, targets, 0)
	for name, o := range r.release(t, targets) {
		if o.Status != "fresh" || o.Digest != outcomes[name].Digest {
			t.Errorf("%s: released once more, it is %s with %s, not %s", name, o.Status, o.Digest, outcomes[name].Digest)
		}
	}
	for _, tr := range trials {
		s.compare(t, store(r.root+"/.rtbuild/registry"), tr, outcomes)
	}
	s.explain(t, r, trials, outcomes)
	s.otherClone(t, trials)
	s.released += len(targets)
}

// refuse counts a case of which no image can be made: only the engine may say
// so.
func (s *suite) refuse(t *testing.T, tr *trial) {
	t.Helper()
	s.refused++
	t.Logf("%s is refused: %s", tr.c.name, tr.outcome.Error)
}

// compare holds a case's image against its label and those of its variants.
func (s *suite) compare(t *testing.T, images store, tr *trial, outcomes map[string]outcome) {
	t.Helper()
	tr.image = images.read(t, tr.outcome.Digest)
	s.compareLabel(tr)
	for k := range tr.variants {
		v := &tr.variants[k]
		o := outcomes[tr.variantName(k)]
		if o.Status != "built" {
			if v.equal {
				s.find(tr.c, v, "the variant fails: %s", o.Error)
			}
			continue
		}
		image := images.read(t, o.Digest)
		sameImage, sameInputs := image.content == tr.image.content, o.Fingerprint == tr.outcome.Fingerprint
		switch {
		case sameInputs && !sameImage:
			s.find(tr.c, v, "one fingerprint, and images that differ:\n%s", difference(tr.image.description, image.description))
		case sameInputs && o.Digest != tr.outcome.Digest:
			s.find(tr.c, v, "one fingerprint and one content, two digests: layers differ in what the files do not show")
		case v.equal && !sameInputs:
			s.find(tr.c, v, "two fingerprints of what must not differ")
		case sameImage && !sameInputs && !v.loose && !tr.c.partial && v.changed != "" && !tr.hidden(v.changed):
			s.find(tr.c, v, "two fingerprints, and the images do not differ")
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
func (s *suite) compareLabel(tr *trial) {
	g := generator{c: tr.c}
	for _, name := range tr.c.files.of(file) {
		inside, ok := g.inside(name)
		found := tokens(tr.c.files[name].content)
		if !ok || len(found) != 1 {
			continue
		}
		in, listed := tr.image.tokens[found[0]], tr.image.listed[inside]
		if in && !listed {
			s.find(tr.c, nil, "%s is in the image, and its label does not list it", inside)
		}
		if listed && !in && !tr.c.partial && !tr.hidden(inside) {
			s.find(tr.c, nil, "%s is not in the image, and its label lists it", inside)
		}
	}
}

// hidden tells whether another file of the same name may have taken a file's
// place in the image: wildcards bring both into one folder.
func (tr *trial) hidden(inside string) bool {
	base := inside[strings.LastIndexByte(inside, '/')+1:]
	same := 0
	for listed := range tr.image.listed {
		if listed[strings.LastIndexByte(listed, '/')+1:] == base {
			same++
		}
	}
	return same > 1
}

// explain replaces each case by its variants in turn and asks what is stale.
func (s *suite) explain(t *testing.T, r *repository, trials []*trial, outcomes map[string]outcome) {
	t.Helper()
	for k := range variantCount {
		var names []string
		var asked []*trial
		for _, tr := range trials {
			if k < len(tr.variants) && outcomes[tr.variantName(k)].Status == "built" {
				tr.variants[k].files.write(t, r.folder(tr.c.name), 0)
				names, asked = append(names, tr.c.name), append(asked, tr)
			}
		}
		if len(names) == 0 {
			continue
		}
		explanations := r.explain(t, names)
		for _, tr := range asked {
			v, e := &tr.variants[k], explanations[tr.c.name]
			switch same := outcomes[tr.variantName(k)].Fingerprint == tr.outcome.Fingerprint; {
			case e.Fresh != same:
				s.find(tr.c, v, "fresh is %t where the fingerprints are the same is %t: %q", e.Fresh, same, e.Reasons)
			case !e.Fresh && v.changed != "" && strings.HasPrefix(v.what, "edit") && !strings.Contains(strings.Join(e.Reasons, "\n"), v.changed):
				s.find(tr.c, v, "the reasons do not name %s: %q", v.changed, e.Reasons)
			}
			tr.c.files.write(t, r.folder(tr.c.name), 0)
		}
	}
}

// otherClone releases the cases from another path, under another umask, on an
// engine without a cache.
func (s *suite) otherClone(t *testing.T, trials []*trial) {
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
			s.find(tr.c, nil, "a clone under umask 077 is %s with the fingerprint %s and the digest %s, not %s and %s; %s", o.Status, o.Fingerprint, o.Digest, tr.outcome.Fingerprint, tr.outcome.Digest, o.Error)
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

// report says what was found.
func (s *suite) report(t *testing.T) {
	t.Helper()
	t.Logf("%d images released, %d cases refused; of the variants %d are stale, %d fresh", s.released, s.refused, s.stale, s.fresh)
	for i, f := range s.findings {
		text := f.c.name
		if f.v != nil {
			text += ", " + f.v.what
		}
		text += ": " + f.text
		if i < printedTrees {
			text += "\n" + f.c.String()
		}
		t.Error(text)
	}
}

// String is the case with its files.
func (c *testCase) String() string {
	return fmt.Sprintf("# context %s, dockerfile %s, target %q, args %v\n%s", c.context, c.dockerfile, c.stage, c.args, c.files)
}
