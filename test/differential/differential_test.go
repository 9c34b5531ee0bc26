//go:build e2e

package differential

import (
	"strings"
	"testing"
	"time"
)

const (
	batchSize    = 50 // cases in one release
	variantCount = 6  // of each case, at most
	shrunkTrees  = 2  // of what fails
)

// TestImages releases random cases.
func TestImages(t *testing.T) {
	seed := number(t, "RTBUILD_E2E_SEED", uint64(time.Now().UnixNano())%1_000_000)
	count := int(number(t, "RTBUILD_E2E_CASES", 150))
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
			s := &suite{platforms: platforms, mirror: newMirror(t, platforms...)}
			for done := 0; done < share; done += batchSize {
				var trials []*trial
				for i := range min(batchSize, share-done) {
					g := newGenerator(seed, first+done+i, len(platforms) > 1)
					trials = append(trials, &trial{c: g.c, variants: g.variants(variantCount)})
				}
				s.findings = append(s.findings, s.examine(t, trials)...)
			}
			s.report(t)
		})
	}
}

// report says what was found, and makes some of the trees smaller that show it.
func (s *suite) report(t *testing.T) {
	t.Helper()
	t.Logf("%d images released, %d cases refused; of the variants %d are stale, %d fresh", s.released, s.refused, s.stale, s.fresh)
	for i, f := range s.findings {
		t.Error(f)
		if i < shrunkTrees {
			small := s.shrink(t, f)
			t.Errorf("a smaller tree: %v\n%s", small, small.c)
		}
	}
}
