package report

import (
	"bytes"
	"encoding/json"
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
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return write(w, out.Bytes())
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
	if err := checkSchema(data); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("reading the report: %w", at(data, err))
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

// checkSchema looks at the schema and version alone: the rest of a document
// of another version may have any shape.
func checkSchema(data []byte) error {
	var head struct{ Schema, Version any }
	if err := json.Unmarshal(data, &head); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return fmt.Errorf("this is a JSON %s, not a report; rtbuild writes reports with --report FILE.json", wrongType.Value)
		}
		return at(data, err)
	}
	if head.Schema != Schema {
		return fmt.Errorf("this is not a report of rtbuild: schema is %s, want %q", compact(head.Schema), Schema)
	}
	if head.Version != float64(Version) {
		return fmt.Errorf("this is version %s of the schema, and this rtbuild reads version %d: use the same rtbuild in all jobs", compact(head.Version), Version)
	}
	return nil
}

// compact is a JSON value for a message.
func compact(value any) string {
	text, err := json.Marshal(value)
	if err != nil || value == nil {
		return "missing"
	}
	const most = 40
	if len(text) > most {
		return string(bytes.ToValidUTF8(text[:most], nil)) + "…"
	}
	return string(text)
}

// at adds the line to an error of encoding/json, which says a byte offset or
// nothing.
func at(data []byte, err error) error {
	offset := int64(-1)
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrongType):
		offset = wrongType.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:offset], []byte("\n")), err)
}

// write writes out, and says what was being done if it cannot.
func write(w io.Writer, out []byte) error {
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
