package manifest_test

import (
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A version is supported on the day that is its end of life, and dead after it.
func TestPastEOL(t *testing.T) {
	day := time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC)
	tree := &manifest.Tree{Runtimes: []manifest.Runtime{{ID: "nodejs", Versions: []manifest.Version{{Version: "20", EOL: day}, {Version: "99"}}}}}
	for _, test := range []struct {
		now  time.Time
		want int
	}{
		{day.Add(-time.Second), 0},
		{day.Add(24*time.Hour - time.Second), 0},
		{day.Add(24 * time.Hour), 1},
		{day.AddDate(50, 0, 0), 1},
	} {
		findings := tree.PastEOL(test.now)
		if len(findings) != test.want {
			t.Errorf("at %s: %d findings, want %d: %v", test.now, len(findings), test.want, findings)
		}
		for _, f := range findings {
			if f.Subject != "nodejs 20" || f.Severity != manifest.SeverityWarning {
				t.Errorf("at %s: %v", test.now, f)
			}
		}
	}
}
