package report_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// junit is what a reader of JUnit's XML sees.
type junit struct {
	Suites []struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name      string `xml:"name,attr"`
			Classname string `xml:"classname,attr"`
			Failure   *struct {
				Message string `xml:"message,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
			Skipped *struct {
				Message string `xml:"message,attr"`
			} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func parseJUnit(t *testing.T, r *report.Report) junit {
	t.Helper()
	var out bytes.Buffer
	if err := r.JUnit(&out); err != nil {
		t.Fatal(err)
	}
	var parsed junit
	if err := xml.Unmarshal(out.Bytes(), &parsed); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if len(parsed.Suites) != 1 {
		t.Fatalf("%d suites\n%s", len(parsed.Suites), &out)
	}
	return parsed
}

func TestJUnit(t *testing.T) {
	r := sample()
	suite := parseJUnit(t, r).Suites[0]
	if suite.Tests != 5 || suite.Failures != 1 || suite.Skipped != 1 || len(suite.Cases) != 5 {
		t.Fatalf("got %+v", suite)
	}
	for i, c := range suite.Cases {
		status := r.Targets[i].Status
		if c.Name != r.Targets[i].Name || (c.Failure != nil) != (status == build.StatusFailed) || (c.Skipped != nil) != (status == build.StatusSkipped) {
			t.Errorf("%s: %+v", r.Targets[i].Name, c)
		}
	}
	if got := suite.Cases[0].Classname; got != "stable/python" {
		t.Errorf("classname %q", got)
	}
	failure := suite.Cases[2].Failure
	if strings.Contains(failure.Message, "\n") || !strings.HasSuffix(failure.Message, "exit code: 1") {
		t.Errorf("message %q", failure.Message)
	}
	for _, want := range []string{"see the log", "\n# kubeless/proxy\n\n\tmain.go:7:2: undefined: `x` & <y>\r\n", "raw \ufffd\ufffd \ufffd bytes \ufffd"} {
		if !strings.Contains(failure.Text, want) {
			t.Errorf("%q is not in %q", want, failure.Text)
		}
	}
	if got := suite.Cases[3].Skipped.Message; got != "a parent failed: go:1.24" {
		t.Errorf("skipped: %q", got)
	}
}

// GitHub drops a summary that is too long, so ours leaves something out and
// says so.
func TestSummaryFits(t *testing.T) {
	var targets []report.Target
	for i := range 4000 {
		targets = append(targets, report.Target{
			Name: fmt.Sprintf("t:%d", i), Dockerfile: "d", Status: build.StatusFailed,
			Error: strings.Repeat("é", 1000), Log: []string{strings.Repeat("<", 1000)},
		})
	}
	out := printed(t, report.New(noon, 0, targets).Summary)
	if len(out) > 1024<<10 {
		t.Errorf("%d bytes", len(out))
	}
	shown, rows := strings.Count(out, "</details>"), strings.Count(out, "\n| <code>")
	for _, want := range []string{
		fmt.Sprintf("The logs of %d more failures do not fit here.", 4000-shown),
		fmt.Sprintf("%d more targets do not fit here.", 4000-rows),
	} {
		if shown == 0 || rows == 0 || !strings.Contains(out, want) {
			t.Errorf("%d failures and %d rows, but not %q", shown, rows, want)
		}
	}
}

// The example in the documentation must be a report.
func TestDocumentedExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/REPORTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	example, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("no example found")
	}
	r, err := report.ReadJSON(strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	if out.String() != example {
		t.Errorf("the example is not as rtbuild writes it:\n%s", &out)
	}
}
