package report_test

import (
	"bytes"
	"html"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/report"
)

func FuzzReadJSON(f *testing.F) {
	golden, err := os.ReadFile("testdata/report.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"schema":"rtbuild.report","version":1,"started":"2031-05-06T07:08:09Z","targets":[],"totals":{}}`))
	f.Add([]byte(`{"schema":"rtbuild.report","version":2}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := report.ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := r.JSON(&out); err != nil {
			t.Fatalf("read, but not written again: %v", err)
		}
		again, err := report.ReadJSON(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatalf("written, but not read again: %v\n%s", err, &out)
		}
		for i := range r.Targets {
			if len(r.Targets[i].Log) == 0 {
				r.Targets[i].Log = nil // an empty list is left out
			}
		}
		if !reflect.DeepEqual(again, r) {
			t.Errorf("read\n%+v\nand again\n%+v", r, again)
		}
		merged, err := report.Merge(r, again)
		if err != nil {
			t.Fatal(err)
		}
		if merged.Totals != r.Totals {
			t.Errorf("merged with itself: %s, alone: %s", merged.Totals, r.Totals)
		}
		if cases := parseJUnit(t, r).Suites[0].Cases; len(cases) != len(r.Targets) {
			t.Errorf("%d test cases of %d targets", len(cases), len(r.Targets))
		}
	})
}

// command is a workflow command as GitHub's runner takes it apart.
var command = regexp.MustCompile(`^::error file=([^:,]*),title=([^:,]*)::(.*)$`)

func unescape(s string) string {
	return strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",").Replace(s)
}

// visible is what is left of text that has no terminal sequences.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\n' {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

func FuzzEscaping(f *testing.F) {
	for _, seed := range []string{
		"python:3.13", "a|b", `a\|b`, "`x`", "<script>&amp;", "]]>", "100%\r\n, ok: %0A", "::error::x", " ::endgroup::", "##[error]x",
		"\x1b[31mred\x1b[0m", "\x00\x01\xff", "\ufffe\uffff", "</pre>\n\n</details>", "&#124;", "&lt;", "**b** _i_ ~s~ $x$ [l](u) ![i](u)", "\u0085\u2028",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		targets := []report.Target{
			{Name: "a" + text, Dockerfile: "d" + text, Status: build.StatusFailed, Error: "e" + text, Log: []string{text, "end"}},
			{Name: "b" + text, Dockerfile: "d", Status: build.StatusSkipped, Reason: text},
		}
		r := report.New(noon, 0, targets)
		checkJUnit(t, r, text)
		checkAnnotation(t, r, text)
		checkSummary(t, r, text)
		checkGroup(t, text)
	})
}

func printed(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(out.Bytes()) {
		t.Errorf("no UTF-8: %q", &out)
	}
	if i := strings.IndexFunc(out.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }); i >= 0 {
		t.Errorf("a control character: %q", &out)
	}
	return out.String()
}

func checkJUnit(t *testing.T, r *report.Report, text string) {
	t.Helper()
	printed(t, r.JUnit)
	cases := parseJUnit(t, r).Suites[0].Cases
	if strings.ContainsRune(text, '\x1b') {
		return
	}
	// XML has no way to write these two, which are no control characters.
	want := strings.NewReplacer("\ufffe", "\ufffd", "\uffff", "\ufffd").Replace(visible("e"+text) + "\n\n" + visible(text) + "\nend")
	if got := cases[0].Failure.Text; got != want {
		t.Errorf("JUnit: got %q, want %q", got, want)
	}
}

func checkAnnotation(t *testing.T, r *report.Report, text string) {
	t.Helper()
	out := printed(t, r.GitHubAnnotations)
	if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") || strings.Contains(out, "\r") {
		t.Fatalf("not one line: %q", out)
	}
	parts := command.FindStringSubmatch(strings.TrimSuffix(out, "\n"))
	if parts == nil {
		t.Fatalf("no command: %q", out)
	}
	if strings.ContainsRune(text, '\x1b') {
		return
	}
	for i, want := range []string{"d" + text, "a" + text + " failed", "e" + text} {
		if got := unescape(parts[i+1]); got != visible(want) {
			t.Errorf("annotation: got %q, want %q", got, visible(want))
		}
	}
}

func checkSummary(t *testing.T, r *report.Report, text string) {
	t.Helper()
	out := printed(t, r.Summary)
	if n := strings.Count(out, "</details>"); n != 1 {
		t.Errorf("%d ends of sections:\n%s", n, out)
	}
	before, table, found := strings.Cut(out, "\n</pre>\n\n</details>\n\n")
	if !found || strings.Contains(table, "<pre") || strings.Count(before, "<pre>") != 1 {
		t.Fatalf("the log is not inside its section:\n%s", out)
	}
	rows := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if len(rows) != 4 {
		t.Fatalf("%d lines in the table:\n%s", len(rows), table)
	}
	for _, row := range rows {
		if n := strings.Count(row, "|"); n != 7 {
			t.Errorf("%d bars in %q", n, row)
		}
	}
	if strings.ContainsRune(text, '\x1b') {
		return
	}
	why := strings.Split(rows[3], "|")[3]
	if strings.ContainsAny(why, "\\`*_[]<>") {
		t.Errorf("Markdown in %q", why)
	}
	want := strings.Join(strings.Fields(visible(text)), " ")
	if got := strings.TrimSpace(html.UnescapeString(why)); utf8.RuneCountInString(want) <= 300 && got != strings.TrimSpace(want) {
		t.Errorf("cell: got %q, want %q", got, want)
	}
}

func checkGroup(t *testing.T, text string) {
	t.Helper()
	out := printed(t, func(w io.Writer) error { return report.GitHubGroup(w, text, []string{text, text}) })
	lines := strings.FieldsFunc(out, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "::group::") || lines[3] != "::endgroup::" {
		t.Fatalf("got %q", out)
	}
	for _, line := range lines[1:3] {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") {
			t.Errorf("the runner takes %q for a command", line)
		}
	}
}
