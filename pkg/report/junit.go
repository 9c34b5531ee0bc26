package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The parts of JUnit's XML that CI systems agree on.
type (
	testSuites struct {
		XMLName xml.Name    `xml:"testsuites"`
		Suites  []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		Name      string     `xml:"name,attr"`
		Tests     int        `xml:"tests,attr"`
		Failures  int        `xml:"failures,attr"`
		Errors    int        `xml:"errors,attr"`
		Skipped   int        `xml:"skipped,attr"`
		Time      string     `xml:"time,attr"`
		Timestamp string     `xml:"timestamp,attr"`
		Cases     []testCase `xml:"testcase"`
	}
	testCase struct {
		Name      string       `xml:"name,attr"`
		Classname string       `xml:"classname,attr"`
		File      string       `xml:"file,attr"`
		Time      string       `xml:"time,attr"`
		Failure   *testFailure `xml:"failure"`
		Skipped   *testSkipped `xml:"skipped"`
	}
	testFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	testSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit writes the report as one JUnit test suite with a test case for each
// target: its classname is the Dockerfile's folder, and a failure carries the
// error and the last lines of the log. Built and fresh targets pass; those
// not tried are skipped. Whatever logs hold, the XML is well-formed: colours
// are taken out, and what XML cannot carry becomes U+FFFD.
func (r *Report) JUnit(w io.Writer) error {
	suite := testSuite{
		Name:     "rtbuild",
		Tests:    len(r.Targets),
		Failures: r.Totals.Failed,
		Skipped:  r.Totals.NotTried,
		Time:     junitSeconds(r.Seconds),
		// JUnit's schema has no time zone here; it is UTC by custom.
		Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	for i := range r.Targets {
		suite.Cases = append(suite.Cases, junitCase(&r.Targets[i]))
	}
	out, err := xml.MarshalIndent(testSuites{Suites: []testSuite{suite}}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report as JUnit XML: %w", err)
	}
	return write(w, []byte(xml.Header+string(out)+"\n"))
}

func junitCase(t *Target) testCase {
	c := testCase{Name: plain(t.Name), Classname: plain(t.Folder()), File: plain(t.Dockerfile), Time: junitSeconds(t.Seconds)}
	switch t.Status {
	case StatusFailed:
		text := plain(t.Error)
		c.Failure = &testFailure{Message: firstLine(text), Type: "build", Text: text}
		if len(t.Log) > 0 {
			c.Failure.Text += "\n\n" + plain(strings.Join(t.Log, "\n"))
		}
	case StatusSkipped:
		c.Skipped = &testSkipped{Message: plain(t.why())}
	}
	return c
}

func junitSeconds(seconds float64) string {
	return fmt.Sprintf("%.3f", time.Duration(seconds*float64(time.Second)).Seconds())
}
