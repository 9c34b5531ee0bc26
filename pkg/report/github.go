package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// GitHubAnnotations writes an error annotation for each failed target, on its
// Dockerfile: one workflow command per line, for stdout or stderr of a step.
// GitHub shows the first ten of a step.
func (r *Report) GitHubAnnotations(w io.Writer) error {
	var out bytes.Buffer
	for i := range r.Targets {
		t := &r.Targets[i]
		if t.Status != build.StatusFailed {
			continue
		}
		message := strings.Join(append([]string{t.Error}, t.Log...), "\n")
		fmt.Fprintf(&out, "::error file=%s,title=%s::%s\n",
			commandProperty(t.Dockerfile), commandProperty(t.Name+" failed"), commandData(message))
	}
	return write(w, out.Bytes())
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
