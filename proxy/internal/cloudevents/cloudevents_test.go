package cloudevents

import (
	"net/http"
	"strings"
	"testing"
)

func TestBinary(t *testing.T) {
	for _, tt := range []struct {
		name     string
		in, want http.Header
	}{
		{"event", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"a%20b"}, "Ce-Type": {"t"}, "Ce-Source": {"/s"}, "Ce-Time": {"now"}},
			http.Header{"Event-Id": {"a b"}, "Event-Type": {"t"}, "Event-Namespace": {"/s"}, "Event-Time": {"now"}}},
		{"event headers of the client stay", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Event-Id": {"2"}},
			http.Header{"Event-Id": {"2"}}},
		{"no version", http.Header{"Ce-Id": {"1"}}, http.Header{"Event-Id": nil}},
		{"another version", http.Header{"Ce-Specversion": {"2.0"}, "Ce-Id": {"1"}}, http.Header{"Event-Id": nil}},
		{"what is no ASCII stays encoded", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"%C3%A9"}, "Ce-Type": {"%0D%0AX: y"}},
			http.Header{"Event-Id": {"%C3%A9"}, "Event-Type": {"%0D%0AX: y"}}},
	} {
		Binary(tt.in)
		for name, want := range tt.want {
			if got := tt.in[name]; strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%s: %s is %q, want %q", tt.name, name, got, want)
			}
		}
	}
}

const required = `"specversion":"1.0","id":"1","type":"t","source":"/s"`

func TestUnwrap(t *testing.T) {
	for _, tt := range []struct{ name, event, data, contentType string }{
		{"object", `{` + required + `,"data":{"a": [1, 2]}}`, `{"a": [1, 2]}`, "application/json"},
		{"string without a type is JSON", `{` + required + `,"data":"x"}`, `"x"`, "application/json"},
		{"JSON type", `{` + required + `,"datacontenttype":"application/x+json","data":"x"}`, `"x"`, "application/x+json"},
		{"text", `{` + required + `,"datacontenttype":"text/plain; charset=\"utf-8\"","data":"xé"}`, "xé", `text/plain; charset="utf-8"`},
		{"object with another type", `{` + required + `,"datacontenttype":"text/xml","data":{}}`, `{}`, "text/xml"},
		{"binary", `{` + required + `,"datacontenttype":"image/png","data_base64":"AAEC"}`, "\x00\x01\x02", "image/png"},
		{"none", `{` + required + `}`, "", "application/json"},
		{"null", `{` + required + `,"data":null}`, "null", "application/json"},
	} {
		h := http.Header{"Content-Type": {StructuredType}}
		data, err := Unwrap(h, []byte(tt.event))
		if err != nil || string(data) != tt.data || h.Get("Content-Type") != tt.contentType {
			t.Errorf("%s: %q, %v, %v", tt.name, data, h, err)
		}
		if h.Get("Event-Id") != "1" || h.Get("Ce-Source") != "/s" || h.Get("Event-Namespace") != "/s" {
			t.Errorf("%s: %v", tt.name, h)
		}
	}
}

func TestUnwrapExtensions(t *testing.T) {
	h := http.Header{}
	_, err := Unwrap(h, []byte(`{`+required+`,"subject":"a b%\"é","n":3,"ok":true,"gone":null}`))
	if err != nil || h.Get("Ce-Subject") != "a%20b%25%22%C3%A9" || h.Get("Ce-N") != "3" || h.Get("Ce-Ok") != "true" || len(h["Ce-Gone"]) > 0 {
		t.Errorf("%v, %v", h, err)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	for name, event := range map[string]string{
		"no JSON":         `{`,
		"no object":       `[]`,
		"no attributes":   `{}`,
		"old version":     strings.Replace(`{`+required+`}`, "1.0", "0.3", 1),
		"no id":           strings.Replace(`{`+required+`}`, `"id":"1"`, `"id":""`, 1),
		"bad name":        `{` + required + `,"a-b":"x"}`,
		"object":          `{` + required + `,"a":{}}`,
		"both data":       `{` + required + `,"data":1,"data_base64":""}`,
		"bad base64":      `{` + required + `,"data_base64":"?"}`,
		"number base64":   `{` + required + `,"data_base64":1}`,
		"type with break": `{` + required + `,"datacontenttype":"a\r\nb: c"}`,
	} {
		h := http.Header{"Content-Type": {StructuredType}}
		if data, err := Unwrap(h, []byte(event)); err == nil {
			t.Errorf("%s: no error, %q", name, data)
		}
		if len(h) != 1 {
			t.Errorf("%s: headers changed: %v", name, h)
		}
	}
}

func TestStructured(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/cloudevents+json": true, "Application/CloudEvents+JSON; charset=utf-8": true,
		"application/cloudevents-batch+json": false, "application/json": false, "": false, "application/": false,
	} {
		if Structured(contentType) != want {
			t.Errorf("%q: %t", contentType, !want)
		}
	}
}

// Whatever the event, headers must be fit to be sent.
func FuzzUnwrap(f *testing.F) {
	f.Add([]byte(`{` + required + `,"data":"x","n":1}`))
	f.Add([]byte(`{` + required + `,"datacontenttype":"text/plain","data":"x","e":"\r\né%"}`))
	f.Add([]byte(`{` + required + `,"data_base64":"AAEC"}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		h := http.Header{}
		if _, err := Unwrap(h, event); err != nil {
			if len(h) > 0 {
				t.Errorf("headers after an error: %q", h)
			}
			return
		}
		checkHeaders(t, h)
		for _, name := range []string{"Event-Id", "Event-Type", "Event-Namespace", "Content-Type"} {
			if h.Get(name) == "" {
				t.Errorf("no %s: %q", name, h)
			}
		}
	})
}

func FuzzBinary(f *testing.F) {
	f.Add("1%0D%0A", "t", "/%C3%A9")
	f.Fuzz(func(t *testing.T, id, kind, source string) {
		in := http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Type": {kind}, "Ce-Source": {source}}
		if !fit(id + kind + source) {
			return // net/http does not let it in
		}
		Binary(in)
		checkHeaders(t, in)
	})
}

func checkHeaders(t *testing.T, h http.Header) {
	t.Helper()
	for name, values := range h {
		if strings.ContainsAny(name, " :\r\n") || !fit(values[0]) {
			t.Errorf("header %q: %q", name, values)
		}
	}
}

func fit(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}
