package contract

import (
	"fmt"
	"io"
	"time"

	"github.com/rtbuild/rtbuild/pkg/report"
)

const (
	// Schema is the name of the JSON schema of a Document.
	Schema = "rtbuild.contract"
	// Version is the schema's.
	Version = 1
)

// A Document is what a verification of several subjects came to.
type Document struct {
	report.Head
	// Engine is the engine that ran the containers, as people call it.
	Engine   string           `json:"engine"`
	Subjects []*SubjectReport `json:"subjects"`
}

// NewDocument is the document of reports of a verification that began at
// started and took elapsed.
func NewDocument(engine string, started time.Time, elapsed time.Duration, reports []*SubjectReport) *Document {
	return &Document{
		Head: report.NewHead(Schema, Version, started, elapsed), Engine: engine, Subjects: append([]*SubjectReport{}, reports...),
	}
}

// JSON writes the document as JSON.
func (d *Document) JSON(w io.Writer) error {
	if err := report.WriteJSON(w, d); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// JUnit writes the document as JUnit XML: a suite for each subject, a case for
// each check.
func (d *Document) JUnit(w io.Writer) error {
	var suites []report.Suite
	for _, r := range d.Subjects {
		suite := report.Suite{Name: "contract " + r.Name(), Started: r.Started, Seconds: r.Seconds}
		if r.Error != "" {
			failure := &report.Failure{Kind: "contract", Text: r.Error}
			suite.Cases = append(suite.Cases, report.Case{Name: "verify", Class: r.class(), Seconds: r.Seconds, Failure: failure})
		}
		for _, result := range r.Results {
			c := report.Case{Name: result.Check, Class: r.class(), Seconds: result.Seconds}
			switch result.Status {
			case StatusFailed:
				c.Failure = &report.Failure{Kind: "contract", Text: result.Detail, Log: result.Log}
			case StatusSkipped:
				c.Skipped = &result.Detail
			}
			suite.Cases = append(suite.Cases, c)
		}
		suites = append(suites, suite)
	}
	return report.WriteJUnit(w, suites)
}

// class is the class of the cases of a subject.
func (r *SubjectReport) class() string { return "contract." + r.Runtime + r.Version }
