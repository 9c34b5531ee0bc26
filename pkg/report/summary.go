package report

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// GitHub throws a step's whole summary away beyond 1024 KiB. Failures may use
// half of what is allowed here, so that the table has room.
const (
	summaryLimit  = 1000 << 10
	failuresLimit = summaryLimit / 2
	// cellLimit is the longest text of a cell, in characters.
	cellLimit = 300
)

// Summary writes the report as GitHub's Markdown for a step's summary: the
// totals, each failure with the end of its log, and a table of all targets.
// It stays below the size that GitHub takes, and says what it left out.
func (r *Report) Summary(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "### rtbuild: %s\n\n", r.Totals)
	left := 0
	for i := range r.Targets {
		if r.Targets[i].Status != build.StatusFailed {
			continue
		}
		if text := failure(&r.Targets[i]); out.Len()+len(text) <= failuresLimit {
			out.WriteString(text)
		} else {
			left++
		}
	}
	if left > 0 {
		fmt.Fprintf(&out, "The logs of %d more failures do not fit here.\n\n", left)
	}
	if len(r.Targets) > 0 {
		out.WriteString("| Target | Status | Why | Digest | Size | Time |\n| --- | --- | --- | --- | ---: | ---: |\n")
	}
	for i := range r.Targets {
		text := row(&r.Targets[i])
		if out.Len()+len(text) > summaryLimit {
			fmt.Fprintf(&out, "\n%d more targets do not fit here.\n", len(r.Targets)-i)
			break
		}
		out.WriteString(text)
	}
	return write(w, out.Bytes())
}

// failure is a section that folds. Its text is HTML, in which Markdown does
// not count; a blank line does not end <pre>.
func failure(t *Target) string {
	lines := append([]string{t.Error}, t.Log...)
	return fmt.Sprintf("<details><summary><code>%s</code> failed</summary>\n\n<pre>\n%s\n</pre>\n\n</details>\n\n",
		cell(t.Name), html.EscapeString(plain(strings.Join(lines, "\n"))))
}

func row(t *Target) string {
	return fmt.Sprintf("| <code>%s</code> | %s | %s | %s | %s | %s |\n",
		cell(t.Name), status(t), cell(t.why()), digestCell(t.Digest), size(t.Size), duration(t.Seconds))
}

// status is the status as the totals name it.
func status(t *Target) string {
	switch {
	case t.Status == build.StatusFailed:
		return "**failed**"
	case t.Status == build.StatusSkipped:
		return "not tried"
	case t.Pushed:
		return "built, pushed"
	}
	return cell(string(t.Status))
}

// digestCell is enough of a digest to tell two apart.
func digestCell(digest string) string {
	if digest == "" {
		return ""
	}
	return "<code>" + cell(digest[:min(len(digest), len("sha256:")+12)]) + "</code>"
}

// size is a number of bytes as registries show it, or nothing if unknown.
func size(bytes int64) string {
	switch {
	case bytes == 0:
		return ""
	case bytes < 1e6:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	case bytes < 1e9:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}

// cell is text on one line in which neither Markdown nor HTML counts. All
// that could is written as a character reference: unlike a backslash, that
// means the same inside and outside HTML tags, and a table does not split
// there.
func cell(s string) string {
	var out strings.Builder
	for _, r := range shorten(oneLine(plain(s)), cellLimit) {
		if strings.ContainsRune("\\`*_~[]<>|&$\"'", r) {
			fmt.Fprintf(&out, "&#%d;", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
