// Package report turns what a run did into documents for machines: JSON with
// a documented schema, JUnit XML, and GitHub Actions' step summary and
// annotations. Reports of several jobs merge into one.
//
// The JSON schema is described field by field in docs/REPORTS.md. It begins with a
// Head, as all documents of commands do.
package report

import (
	"fmt"
	"path"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
)

const (
	// Schema is the schema's name: every report carries it.
	Schema = "rtbuild.report"
	// Version is the schema's version that this package writes and reads.
	Version = 1
)

// A Report is what a run did. New makes one.
type Report struct {
	Head
	// Registry is HOST[/PREFIX] that images were pushed to; empty: where the
	// manifests say.
	Registry string `json:"registry,omitempty"`
	// Engine is the build engine, as people call it.
	Engine string `json:"engine,omitempty"`
	// Targets are in the order of the plan, each name once.
	Targets []Target `json:"targets"`
	// Totals are the sum of Targets.
	Totals Totals `json:"totals"`

	// Source names where the report was read ("python.json"), for messages.
	// It is no part of the document: who opens the file sets it.
	Source string `json:"-"`
}

// A Target is what became of one image.
type Target struct {
	// Name is the target's name in the plan ("python-init:3.13").
	Name string `json:"name"`
	// Dockerfile is its path relative to the root, with forward slashes.
	Dockerfile string `json:"dockerfile"`
	// Kind is what the image is for: "runtime", "init" or "support".
	Kind string `json:"kind"`
	// Status is how it fared.
	Status build.Status `json:"status"`
	// Reason says in words why it was built or not ("stable/python/worker.py
	// changed").
	Reason string `json:"reason,omitempty"`
	// Fingerprint identifies everything that went into the image.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Digest is the manifest's: "sha256:" and 64 lower-case hexadecimal
	// digits. It is empty where the engine did not tell it, which happens
	// without a push only. A failed target may have one, of an image that did
	// not pass: it must not be pinned.
	Digest string `json:"digest,omitempty"`
	// ImageID is the digest of the image's configuration, where the engine tells
	// it.
	ImageID string `json:"imageID,omitempty"`
	// References are the full references that the image has: under its content
	// tag, or once it is published, under its version tags.
	References []string `json:"references"`
	// Tags are the version tags that the manifests name the image by, with
	// what they pointed to when the run began: of an image that is at the registry.
	Tags []Tag `json:"tags,omitempty"`
	// Platforms are "os/arch[/variant]"; none: the engine's own.
	Platforms []string `json:"platforms"`
	// Size is the sum of the compressed layers of all platforms, in bytes; 0
	// where it is not known.
	Size int64 `json:"size,omitempty"`
	// Cached tells that no step of the build had to run.
	Cached bool `json:"cached"`
	// Pushed tells that this run pushed the image, and that the registry
	// confirmed Digest. A failed target may have been pushed before it failed.
	Pushed bool `json:"pushed"`
	// Seconds is how long this target took, waiting for others not counted.
	Seconds float64 `json:"seconds"`
	// UsedBy are the phases in the manifests that run the image.
	UsedBy []Field `json:"feeds"`
	// Error says what went wrong, for build.StatusFailed.
	Error string `json:"error,omitempty"`
	// Log holds the last lines of the step that failed, as it printed them.
	Log []string `json:"log,omitempty"`
}

// Folder is the folder that the Dockerfile lies in.
func (t *Target) Folder() string { return path.Dir(t.Dockerfile) }

// why is the error of a target that has one, else its reason.
func (t *Target) why() string {
	if t.Error != "" {
		return t.Error
	}
	return t.Reason
}

// A Tag is a version tag at the registry.
type Tag struct {
	// Reference is the full reference, "ghcr.io/acme/python:3.13".
	Reference string `json:"reference"`
	// Before is the digest that it pointed to when the run began; empty: there
	// was no such tag.
	Before string `json:"before,omitempty"`
}

// A Field is a phase of a runtime's version.
type Field struct {
	Runtime string `json:"runtime"`
	Version string `json:"version"`
	// Phase is "installation", "compilation" or "runtime".
	Phase string `json:"phase"`
}

// Totals count targets. Built, Fresh, Failed and NotTried add up to all of
// them; Pushed counts those whose image this run pushed, whatever came after.
type Totals struct {
	Built    int `json:"built"`
	Fresh    int `json:"fresh"`
	Pushed   int `json:"pushed"`
	Failed   int `json:"failed"`
	NotTried int `json:"notTried"`
	// Seconds is the report's, for String.
	Seconds float64 `json:"-"`
}

// String is one line that sums the run up: "3 built, 27 fresh, 3 pushed, 0
// failed, 0 not tried, in 12.3s".
func (t Totals) String() string {
	return fmt.Sprintf("%d built, %d fresh, %d pushed, %d failed, %d not tried, in %s",
		t.Built, t.Fresh, t.Pushed, t.Failed, t.NotTried, duration(t.Seconds))
}

// New is the report of a run that began at started and took elapsed. The
// targets are in the order of the plan; the totals are summed from them.
// Registry, Engine, Tool and Revision are the caller's to set.
func New(started time.Time, elapsed time.Duration, targets []Target) *Report {
	r := &Report{
		Head:    NewHead(Schema, Version, started, elapsed),
		Targets: append([]Target{}, targets...),
	}
	r.complete()
	return r
}

// complete makes lists of none empty, so that JSON says [] and not null, and
// sums the targets up.
func (r *Report) complete() {
	for i := range r.Targets {
		t := &r.Targets[i]
		if t.References == nil {
			t.References = []string{}
		}
		if t.Platforms == nil {
			t.Platforms = []string{}
		}
		if t.UsedBy == nil {
			t.UsedBy = []Field{}
		}
	}
	r.Totals = r.sum()
}

func (r *Report) sum() Totals {
	totals := Totals{Seconds: r.Seconds}
	for _, t := range r.Targets {
		switch t.Status {
		case build.StatusBuilt:
			totals.Built++
		case build.StatusFresh:
			totals.Fresh++
		case build.StatusFailed:
			totals.Failed++
		case build.StatusSkipped:
			totals.NotTried++
		}
		if t.Pushed {
			totals.Pushed++
		}
	}
	return totals
}

// duration is seconds as people read them, to a tenth.
func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond)
}
