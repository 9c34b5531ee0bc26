package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// An Annotation is what GitHub shows beside a place in a file.
type Annotation struct {
	// Level is "error" or "warning".
	Level string
	// File is relative to the repository; Line and Column are 1-based, 0 where they
	// are not known.
	File         string
	Line, Column int
	Title        string
	// Message may have several lines.
	Message string
}

// GitHub writes annotations: one workflow command per line, for stdout or stderr of
// a step. GitHub shows the first ten of each level of a step.
func GitHub(w io.Writer, annotations []Annotation) error {
	var out bytes.Buffer
	for _, a := range annotations {
		fmt.Fprintf(&out, "::%s file=%s,", a.Level, commandProperty(a.File))
		if a.Line > 0 {
			fmt.Fprintf(&out, "line=%d,", a.Line)
		}
		if a.Column > 0 {
			fmt.Fprintf(&out, "col=%d,", a.Column)
		}
		fmt.Fprintf(&out, "title=%s::%s\n", commandProperty(a.Title), commandData(a.Message))
	}
	return write(w, out.Bytes())
}

// GitHubAnnotations writes an error annotation for each failed target, on its
// Dockerfile. What the step printed is not in it: GitHub prints annotations in the
// job's log, which has that at another place.
func (r *Report) GitHubAnnotations(w io.Writer) error {
	var annotations []Annotation
	for i := range r.Targets {
		if t := &r.Targets[i]; t.Status == build.StatusFailed {
			annotations = append(annotations, Annotation{Level: "error", File: t.Dockerfile, Title: t.Name + " failed", Message: t.Error})
		}
	}
	return GitHub(w, annotations)
}

// GitHubGroup writes lines as a group that folds in the log of a step. The
// runner takes commands from anything that a step prints, so each line is
// written in a way that it does not: a build's log must not set annotations,
// masks or groups of its own.
func GitHubGroup(w io.Writer, title string, lines []string) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "::group::%s\n", commandData(oneLine(title)))
	for _, line := range lines {
		// The runner looks for "::" behind leading white space, and for the
		// older "##[" anywhere in a line; CR ends a line as well.
		line = strings.NewReplacer("\r", " ", "\n", " ", "##[", "# #[").Replace(plain(line))
		fmt.Fprintf(&out, "| %s\n", line)
	}
	out.WriteString("::endgroup::\n")
	return write(w, out.Bytes())
}

// commandData is text as the message of a workflow command.
func commandData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(plain(s))
}

// commandProperty is text as the value of a workflow command's property.
func commandProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(commandData(s))
}
