package report

import (
	"errors"
	"fmt"
	"io"
)

// JSON writes the report as JSON, indented. Bytes of logs that are no UTF-8
// become U+FFFD. A report that ReadJSON would refuse is an error, and nothing
// is written.
func (r *Report) JSON(w io.Writer) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := WriteJSON(w, r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// ReadJSON reads a report that JSON wrote. Another schema or version is an
// error, and so are digests and statuses that are none, a target named twice
// and totals that are not the sum of the targets: what is read here is
// pinned. Fields that this version does not know are ignored, so that a newer
// rtbuild can add some.
func ReadJSON(in io.Reader) (*Report, error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	r := &Report{}
	if err := readJSON(data, Schema, Version, r); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if r.Targets == nil {
		return nil, errors.New("reading the report: targets are missing")
	}
	said := r.Totals
	r.Started = r.Started.UTC()
	r.complete()
	said.Seconds = r.Seconds
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if said != r.Totals {
		return nil, fmt.Errorf("reading the report: totals say %s, but the targets sum up to %s: the file was changed by hand or is damaged", said, r.Totals)
	}
	return r, nil
}
