package manifest

import (
	"strings"
	"time"
)

// Dead tells whether the version's end of life has passed at a time.
func (v *Version) Dead(now time.Time) bool {
	return !v.EOL.IsZero() && !now.Before(v.EOL.AddDate(0, 0, 1))
}

// PastEOL warns of the versions whose end of life has passed at a time.
func (t *Tree) PastEOL(now time.Time) []Finding {
	var findings []Finding
	for _, r := range t.Runtimes {
		for _, v := range r.Versions {
			if v.Dead(now) {
				findings = append(findings, Finding{
					Severity: SeverityWarning,
					Rule:     RuleEOL,
					Position: v.position,
					Subject:  strings.TrimSpace(r.ID + " " + v.Version),
					Message:  "its end of life was on " + v.EOL.Format(time.DateOnly) + ": its makers fix nothing in it any more; move functions to a newer version, and drop this one when none needs it",
				})
			}
		}
	}
	return findings
}
