package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// A Severity grades a Finding.
type Severity string

const (
	// SeverityError means that the tree cannot be released as it is.
	SeverityError Severity = "error"
	// SeverityWarning means that it can, but likely not as its author expects.
	SeverityWarning Severity = "warning"
)

// A Finding is something wrong in a tree.
type Finding struct {
	Severity Severity
	// Rule is what it is about.
	Rule Rule
	// Position is the place in the source, as near as Jsonnet gives it.
	Position provenance.Position
	// Subject names what is wrong ("python 3.13 installation").
	Subject string
	// Message says what is wrong and what to do about it.
	Message string

	runtime string // the pointer of the runtime that it is in
}

// String is "position: severity: subject: message [rule]".
func (f Finding) String() string {
	var b strings.Builder
	if f.Position.File != "" {
		fmt.Fprintf(&b, "%s: ", f.Position)
	}
	fmt.Fprintf(&b, "%s: %s", f.Severity, f.Text())
	if f.Rule != "" {
		fmt.Fprintf(&b, " [%s]", f.Rule)
	}
	return b.String()
}

// Text is "subject: message".
func (f Finding) Text() string {
	if f.Subject == "" {
		return f.Message
	}
	return f.Subject + ": " + f.Message
}

// Errors are the findings that are errors.
func Errors(findings []Finding) []Finding {
	var errs []Finding
	for _, f := range findings {
		if f.Severity == SeverityError {
			errs = append(errs, f)
		}
	}
	return errs
}

// SortFindings orders findings by position, errors first at one place.
func SortFindings(findings []Finding) {
	severity := func(f Finding) int {
		if f.Severity == SeverityError {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Position.File, b.Position.File), cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(severity(a), severity(b)), cmp.Compare(a.Position.Column, b.Position.Column),
		)
	})
}

// An InvalidError reports a tree whose findings include errors.
type InvalidError struct {
	Findings []Finding
}

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Undetermined are the folders of runtimes of which an error leaves open which
// images they have. Findings about their Dockerfiles and images mostly follow from
// that error.
func (t *Tree) Undetermined() map[string]bool {
	folders := map[string]bool{}
	for _, r := range t.Runtimes {
		for _, f := range t.Findings {
			if f.Severity == SeverityError && f.Rule.leavesOpen() && f.runtime == r.pointer {
				folders[r.Folder] = true
			}
		}
	}
	return folders
}
