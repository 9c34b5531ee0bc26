package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
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
		File      string       `xml:"file,attr,omitempty"`
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

// A Suite is a JUnit test suite.
type Suite struct {
	Name    string
	Started time.Time
	Seconds float64
	Cases   []Case
}

// A Case is a JUnit test case. It passed unless Failure or Skipped is set.
type Case struct {
	Name, Class string
	// File is the source file that it is about; may be empty.
	File    string
	Seconds float64
	Failure *Failure
	// Skipped is the reason of a case that was not tried.
	Skipped *string
}

// A Failure is that of a Case.
type Failure struct {
	// Kind is what failed, in a word ("build").
	Kind string
	// Text is the error; its first line is the message.
	Text string
	// Log holds the last lines of the log.
	Log []string
}

// WriteJUnit writes suites as JUnit XML. Whatever they hold, it is
// well-formed: colours are taken out, and what XML cannot carry becomes U+FFFD.
func WriteJUnit(w io.Writer, suites []Suite) error {
	document := testSuites{}
	for _, s := range suites {
		document.Suites = append(document.Suites, s.xml())
	}
	out, err := xml.MarshalIndent(document, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report as JUnit XML: %w", err)
	}
	return write(w, []byte(xml.Header+string(out)+"\n"))
}

func (s Suite) xml() testSuite {
	suite := testSuite{
		Name: plain(s.Name), Tests: len(s.Cases), Time: junitSeconds(s.Seconds),
		// JUnit's schema has no time zone here; it is UTC by custom.
		Timestamp: s.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, c := range s.Cases {
		t := testCase{Name: plain(c.Name), Classname: plain(c.Class), File: plain(c.File), Time: junitSeconds(c.Seconds)}
		if c.Failure != nil {
			suite.Failures++
			t.Failure = c.Failure.xml()
		}
		if c.Skipped != nil {
			suite.Skipped++
			t.Skipped = &testSkipped{Message: plain(*c.Skipped)}
		}
		suite.Cases = append(suite.Cases, t)
	}
	return suite
}

func (f Failure) xml() *testFailure {
	text := plain(f.Text)
	failure := &testFailure{Message: firstLine(text), Type: f.Kind, Text: text}
	if len(f.Log) > 0 {
		failure.Text += "\n\n" + plain(strings.Join(f.Log, "\n"))
	}
	return failure
}

// JUnit writes the report as one JUnit test suite with a test case for each
// target: its classname is the Dockerfile's folder, and a failure carries the
// error and the last lines of the log. Built and fresh targets pass; those
// not tried are skipped.
func (r *Report) JUnit(w io.Writer) error {
	suite := Suite{Name: "rtbuild", Started: r.Started, Seconds: r.Seconds}
	for i := range r.Targets {
		suite.Cases = append(suite.Cases, junitCase(&r.Targets[i]))
	}
	return WriteJUnit(w, []Suite{suite})
}

func junitCase(t *Target) Case {
	c := Case{Name: t.Name, Class: t.Folder(), File: t.Dockerfile, Seconds: t.Seconds}
	switch t.Status {
	case build.StatusFailed:
		c.Failure = &Failure{Kind: "build", Text: t.Error, Log: t.Log}
	case build.StatusSkipped:
		why := t.why()
		c.Skipped = &why
	}
	return c
}

func junitSeconds(seconds float64) string {
	return fmt.Sprintf("%.3f", time.Duration(seconds*float64(time.Second)).Seconds())
}

// write writes out, and says what was being done if it cannot.
func write(w io.Writer, out []byte) error {
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
