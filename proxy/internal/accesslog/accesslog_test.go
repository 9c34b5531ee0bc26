package accesslog

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600))
	for _, tt := range []struct {
		entry      Entry
		text, json string
	}{
		{Entry{Time: at, Method: "GET", Path: "/a%20b", Status: 200, Duration: 1234567, Bytes: 42},
			"2026-01-02T02:04:05.006Z GET /a%20b 200 1.235ms 42\n",
			`{"time":"2026-01-02T02:04:05.006Z","method":"GET","path":"/a%20b","status":200,"duration_ms":1.235,"bytes":42}` + "\n"},
		{Entry{Time: at, Method: "POST", Path: "/", Status: 408, Duration: time.Second, Note: "a \"b\"\n\\"},
			`2026-01-02T02:04:05.006Z POST / 408 1000.000ms 0 "a \"b\"\n\\"` + "\n",
			`{"time":"2026-01-02T02:04:05.006Z","method":"POST","path":"/","status":408,"duration_ms":1000.000,"bytes":0,"note":"a \"b\"\u000a\\"}` + "\n"},
	} {
		for asJSON, want := range map[bool]string{false: tt.text, true: tt.json} {
			var out bytes.Buffer
			New(&out, asJSON).Add(tt.entry)
			if out.String() != want {
				t.Errorf("got  %swant %s", out.String(), want)
			}
			if asJSON && !json.Valid(out.Bytes()) {
				t.Errorf("no JSON: %s", out.String())
			}
		}
	}
}
