package manifest

import (
	"fmt"
	"sort"
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
	// Position is the place in the source, as near as Jsonnet gives it.
	Position provenance.Position
	// Subject names what is wrong ("python 3.13 installation").
	Subject string
	// Message says what is wrong and what to do about it.
	Message string
}

// String is "position: severity: subject: message".
func (f Finding) String() string {
	var b strings.Builder
	if f.Position.File != "" {
		fmt.Fprintf(&b, "%s: ", f.Position)
	}
	fmt.Fprintf(&b, "%s: ", f.Severity)
	if f.Subject != "" {
		fmt.Fprintf(&b, "%s: ", f.Subject)
	}
	b.WriteString(f.Message)
	return b.String()
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
	sort.SliceStable(findings, func(i, j int) bool {
		a, b := findings[i], findings[j]
		if a.Position.File != b.Position.File {
			return a.Position.File < b.Position.File
		}
		if a.Position.Line != b.Position.Line {
			return a.Position.Line < b.Position.Line
		}
		return a.Severity == SeverityError && b.Severity != SeverityError
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
