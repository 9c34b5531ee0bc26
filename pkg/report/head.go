package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Head begins every document that rtbuild writes of what a command did: Report,
// contract.Document and release.AuditDocument.
type Head struct {
	// Schema names the document's schema, and Version is the schema's: another one
	// when a field changes its meaning or goes, or a status is added; a field more
	// is no new version.
	Schema  string `json:"schema"`
	Version int    `json:"version"`
	// Tool is what wrote the document, with its version: "rtbuild v1.4.0".
	Tool string `json:"tool,omitempty"`
	// Revision is the id of the git commit that is checked out; empty outside a git
	// repository. What is not committed may differ from it.
	Revision string `json:"revision,omitempty"`
	// Started is when the command's work began, in UTC, to the millisecond.
	Started time.Time `json:"started"`
	// Seconds is how long it took, by the clock on the wall.
	Seconds float64 `json:"seconds"`
}

// NewHead is the head of a document of work that began at started and took
// elapsed. Tool and Revision are the caller's to set.
func NewHead(schema string, version int, started time.Time, elapsed time.Duration) Head {
	return Head{Schema: schema, Version: version, Started: started.UTC().Truncate(time.Millisecond), Seconds: Seconds(elapsed)}
}

// Seconds is a duration as documents have it: seconds, to the millisecond.
func Seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// WriteJSON writes a document as JSON, indented. Bytes that are no UTF-8 become
// U+FFFD.
func WriteJSON(w io.Writer, document any) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}

// readJSON decodes a document of a schema and version into one. It looks at these
// alone first: the rest of a document of another version may have any shape.
func readJSON(data []byte, schema string, version int, document any) error {
	var head struct{ Schema, Version any }
	if err := json.Unmarshal(data, &head); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return fmt.Errorf("this is a JSON %s, not a report; rtbuild writes reports with --report FILE.json", wrongType.Value)
		}
		return at(data, err)
	}
	if head.Schema != schema {
		return fmt.Errorf("this is not a report of rtbuild: schema is %s, want %q", compact(head.Schema), schema)
	}
	if head.Version != float64(version) {
		return fmt.Errorf("this is version %s of the schema, and this rtbuild reads version %d: use the same rtbuild in all jobs", compact(head.Version), version)
	}
	if err := json.Unmarshal(data, document); err != nil {
		return at(data, err)
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
