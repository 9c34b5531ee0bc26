package contract

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// A Status is how a check ended.
type Status string

// The statuses.
const (
	StatusPassed Status = "passed"
	StatusFailed Status = "failed"
	// StatusSkipped means that the check does not apply; Result.Detail says
	// why.
	StatusSkipped Status = "skipped"
)

// A Result is what became of one check.
type Result struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Detail is what was expected and what came, the reason of a skip, or
	// what a check that passed has to say.
	Detail string `json:"detail,omitempty"`
	// Tries is 2 where a check with bounds of time failed and was run once more;
	// Detail tells of both.
	Tries int `json:"tries,omitempty"`
	// Seconds is how long it took, waiting for other checks not counted.
	Seconds float64 `json:"seconds"`
	// Log holds the last lines that the container of a failed check printed.
	Log []string `json:"log,omitempty"`
}

// Verified is an image that a phase ran.
type Verified struct {
	Phase manifest.Phase `json:"phase"`
	// Reference is the one that the image was found by, ID the engine's name
	// for the image.
	Reference string `json:"reference"`
	ID        string `json:"id"`
	// Labels are the image's.
	Labels map[string]string `json:"-"`
}

// A SubjectReport is what became of a subject.
type SubjectReport struct {
	Runtime string `json:"runtime"`
	Version string `json:"version"`
	// Started is when the verification began, in UTC, Seconds how long it
	// took.
	Started time.Time  `json:"started"`
	Seconds float64    `json:"seconds"`
	Images  []Verified `json:"images"`
	// Results are in the order of Checks.
	Results []Result `json:"results"`
	// Error is what kept the suite from running; there are no results then.
	Error string `json:"error,omitempty"`
}

// Unverified is the report of a subject for which Verify returned an error.
func Unverified(s Subject, started time.Time, err error) *SubjectReport {
	return &SubjectReport{
		Runtime: s.Runtime, Version: s.Version, Started: started.UTC().Truncate(time.Millisecond), Seconds: report.Seconds(time.Since(started)),
		Images: []Verified{}, Results: []Result{}, Error: err.Error(),
	}
}

// Name is the subject's: "python 3.13".
func (r *SubjectReport) Name() string { return strings.TrimSpace(r.Runtime + " " + r.Version) }

// Failed are the checks that failed.
func (r *SubjectReport) Failed() []Result { return r.with(StatusFailed) }

// Count is how many checks ended so.
func (r *SubjectReport) Count(status Status) int { return len(r.with(status)) }

func (r *SubjectReport) with(status Status) []Result {
	var results []Result
	for _, result := range r.Results {
		if result.Status == status {
			results = append(results, result)
		}
	}
	return results
}

// Err is nil if the suite ran and no check failed, else an error that names
// those that did, with what was expected and what came: what a gate gives as its
// reason.
func (r *SubjectReport) Err() error {
	if r.Error != "" {
		return errors.New(r.Error)
	}
	var failed []string
	for _, result := range r.Failed() {
		failed = append(failed, result.Check+": "+function.Shorten(strings.Join(strings.Fields(result.Detail), " "), 300))
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%s breaks the contract: %d of %d checks failed: %s",
		r.Name(), len(failed), len(r.Results), strings.Join(failed, "; "))
}
