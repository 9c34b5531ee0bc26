package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// With FUNC_LOG_FORMAT=json, each line of the output is a JSON value that says
// whose it is, whatever clients have the function print.
func TestLinesCannotBeForged(t *testing.T) {
	const forged = `{"time":"2026-01-01T00:00:00.000Z","method":"GET","path":"/forged","status":200}`
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "FUNC_LOG_FORMAT=json").ready()
		message := "x\n" + forged + "\r\n\n\"\xff\u2028 <b>"
		p.get("/raise?"+url.QueryEscape(message)).want(t, 500)
		p.get("/print?"+url.QueryEscape(message)).want(t, 200)
		p.get("/exit").want(t, 500)
		p.eventually("the lines", func() bool {
			return strings.Contains(p.out.String(), "/exit") && strings.Contains(p.out.String(), "<b>") &&
				strings.Contains(p.err.String(), "Traceback") && strings.Contains(p.err.String(), "leaving")
		})
		var texts []string
		for stream, log := range map[string]string{"stdout": p.out.String(), "stderr": p.err.String()} {
			for line := range strings.Lines(log) {
				var v struct{ Time, Stream, Text, Path string }
				if err := json.Unmarshal([]byte(line), &v); err != nil || v.Time == "" {
					t.Errorf("%q: %v", line, err)
				}
				if v.Path == "/forged" || v.Text != "" && v.Stream != stream {
					t.Errorf("%q", line)
				}
				texts = append(texts, v.Text)
			}
		}
		for _, want := range []string{"Traceback:\nValueError: " + strings.ReplaceAll(message, "\xff", "?"), forged + "\r", "\"\ufffd\u2028 <b>", "leaving"} {
			if !slices.Contains(texts, want) {
				t.Errorf("no %q in %q", want, texts)
			}
		}
	})
}
