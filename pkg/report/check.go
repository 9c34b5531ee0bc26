package report

import (
	"errors"
	"fmt"
	"time"

	"github.com/rtbuild/rtbuild/pkg/reference"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// maxSeconds is what a time.Duration holds, rounded down: 292 years.
const maxSeconds = float64(292 * 365 * 24 * 60 * 60)

// check finds everything that a report must not say. Writers and readers hold
// to it alike, so what one wrote the other takes.
func (r *Report) check() error {
	var errs []error
	if r.Started.IsZero() || r.Started.Year() < 1 || r.Started.Year() > 9999 {
		errs = append(errs, fmt.Errorf("started: %s is not a time", r.Started.Format(time.RFC3339)))
	}
	if err := checkSeconds(r.Seconds); err != nil {
		errs = append(errs, err)
	}
	seen := map[string]int{}
	for i := range r.Targets {
		t := &r.Targets[i]
		at := fmt.Sprintf("target %d", i+1)
		if t.Name != "" {
			at += " (" + t.Name + ")"
		}
		if err := t.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
		}
		if first, ok := seen[t.Name]; ok {
			errs = append(errs, fmt.Errorf("%s: target %d has the same name", at, first+1))
			continue
		}
		seen[t.Name] = i
	}
	return errors.Join(errs...)
}

// check finds the first thing that a target must not say. It looks at what
// others rely on; words are free.
func (t *Target) check() error {
	if t.Name == "" || t.Dockerfile == "" {
		return fmt.Errorf("name is %q and dockerfile is %q: neither may be empty", t.Name, t.Dockerfile)
	}
	if t.Digest != "" {
		if err := reference.CheckDigest(t.Digest); err != nil {
			return fmt.Errorf("digest: %w", err)
		}
	}
	for _, tag := range t.Tags {
		if err := tag.check(); err != nil {
			return err
		}
	}
	switch t.Status {
	case build.StatusBuilt, build.StatusFresh:
		if t.Error != "" {
			return fmt.Errorf("status is %q, but there is an error: %s", t.Status, t.Error)
		}
	case build.StatusFailed:
		if t.Error == "" {
			return errors.New(`status is "failed", but error is empty`)
		}
	case build.StatusSkipped:
	default:
		return fmt.Errorf("status is %q; want built, fresh, failed or skipped", t.Status)
	}
	if t.Pushed && (t.Status == build.StatusFresh || t.Status == build.StatusSkipped) {
		return fmt.Errorf("pushed is true, but status is %q", t.Status)
	}
	if t.Digest == "" && (t.Pushed || t.Status == build.StatusFresh) {
		return errors.New("the image is at the registry, but its digest is missing")
	}
	if t.Size < 0 {
		return fmt.Errorf("size is %d bytes", t.Size)
	}
	return checkSeconds(t.Seconds)
}

func (t Tag) check() error {
	if t.Reference == "" {
		return errors.New("a tag has no reference")
	}
	if t.Before != "" {
		if err := reference.CheckDigest(t.Before); err != nil {
			return fmt.Errorf("the tag %s before: %w", t.Reference, err)
		}
	}
	return nil
}

func checkSeconds(seconds float64) error {
	// Written so that NaN does not pass.
	if !(seconds >= 0 && seconds <= maxSeconds) {
		return fmt.Errorf("seconds: %v is not a duration", seconds)
	}
	return nil
}
