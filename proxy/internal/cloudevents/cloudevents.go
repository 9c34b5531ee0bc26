// Package cloudevents maps CloudEvents 1.0 over HTTP, in binary and structured
// mode, to the four event headers that every worker understands.
//
// Facts: CloudEvents 1.0.2, "HTTP Protocol Binding" (3.1 binary, 3.2
// structured) and "JSON Event Format" (2.2 type mapping, 3.1 data).
package cloudevents

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// StructuredType is the media type of a structured event in JSON.
const StructuredType = "application/cloudevents+json"

// Structured says whether a content type announces a structured JSON event.
// Batches and other formats are not, and pass as they are.
func Structured(contentType string) bool {
	if !strings.HasPrefix(contentType, "application/") &&
		!strings.HasPrefix(strings.ToLower(contentType), "application/") {
		return false
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == StructuredType
}

// mapped pairs attributes with event headers, in canonical form. An event's
// source is what distinguishes it from those of other origins, as a namespace.
func mapped() [4][2]string {
	return [4][2]string{
		{"Ce-Id", "Event-Id"},
		{"Ce-Type", "Event-Type"},
		{"Ce-Time", "Event-Time"},
		{"Ce-Source", "Event-Namespace"},
	}
}

// Binary adds the event headers of an event in binary mode; those already
// there stay. Requests that are no events of version 1 are left alone.
func Binary(h http.Header) {
	version := h["Ce-Specversion"]
	if len(version) == 0 || !supported(version[0]) {
		return
	}
	for _, m := range mapped() {
		if v := h[m[0]]; len(v) > 0 && len(h[m[1]]) == 0 {
			h[m[1]] = []string{decode(v[0])}
		}
	}
}

func supported(version string) bool {
	return version == "1.0" || strings.HasPrefix(version, "1.0.")
}

// Unwrap turns a structured event into binary mode: it returns the data and
// sets the content type, the ce-* headers and the event headers. An error says
// what is wrong with the event; h is then unchanged.
func Unwrap(h http.Header, body []byte) ([]byte, error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, fmt.Errorf("reading a structured CloudEvent: %w", err)
	}
	attributes := map[string]string{}
	for name, value := range event {
		if name == "data" || name == "data_base64" || string(value) == "null" {
			continue
		}
		text, err := attribute(name, value)
		if err != nil {
			return nil, err
		}
		attributes[name] = text
	}
	if v := attributes["specversion"]; !supported(v) {
		return nil, fmt.Errorf("reading a structured CloudEvent: specversion %q is not 1.0", v)
	}
	for _, required := range []string{"id", "source", "type"} {
		if attributes[required] == "" {
			return nil, fmt.Errorf("reading a structured CloudEvent: attribute %q is missing", required)
		}
	}
	contentType := attributes["datacontenttype"]
	if !printable(contentType) {
		return nil, fmt.Errorf("reading a structured CloudEvent: datacontenttype %q is not a media type", contentType)
	}
	data, err := payload(event, contentType)
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		contentType = "application/json"
	}
	delete(attributes, "datacontenttype")
	for name, text := range attributes {
		h.Set("Ce-"+name, encode(text))
	}
	h.Set("Content-Type", contentType)
	Binary(h)
	return data, nil
}

// attribute reads a context attribute: a string, a number or a boolean. Names
// are lower-case letters and digits.
func attribute(name string, value json.RawMessage) (string, error) {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, notInNames) {
		return "", fmt.Errorf("reading a structured CloudEvent: %q is not an attribute name", name)
	}
	switch value[0] {
	case '"':
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return "", fmt.Errorf("reading CloudEvent attribute %q: %w", name, err)
		}
		return s, nil
	case '{', '[':
		return "", fmt.Errorf("reading CloudEvent attribute %q: not a string, number or boolean", name)
	default:
		return string(value), nil
	}
}

func notInNames(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

func payload(event map[string]json.RawMessage, contentType string) ([]byte, error) {
	data, hasData := event["data"]
	encoded, hasBinary := event["data_base64"]
	switch {
	case hasData && hasBinary:
		return nil, errors.New("reading a structured CloudEvent: both data and data_base64")
	case hasBinary:
		var s string
		if err := json.Unmarshal(encoded, &s); err != nil {
			return nil, fmt.Errorf("reading data_base64: %w", err)
		}
		out, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("reading data_base64: %w", err)
		}
		return out, nil
	case !hasData:
		return nil, nil
	case data[0] == '"' && !isJSON(contentType):
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("reading data: %w", err)
		}
		return []byte(s), nil
	default:
		return bytes.TrimSpace(data), nil
	}
}

// isJSON follows the JSON format: no type means JSON.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json"))
}

// encode writes a value for a header as the HTTP binding says: printable ASCII
// as it is, but for space, quotation mark and percent; the rest, in percent form.
func encode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7f && c != '%' && c != '"' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// decode undoes encode where the outcome fits a header on every worker, which
// is printable ASCII; otherwise the value stays encoded.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out, err := url.PathUnescape(s)
	if err != nil || strings.TrimSpace(out) != out {
		return s
	}
	if !printable(out) {
		return s
	}
	return out
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}
