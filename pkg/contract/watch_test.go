package contract

import (
	"strings"
	"testing"
)

func TestParseMetrics(t *testing.T) {
	m, err := parseMetrics(`# HELP function_calls_total Calls.
# TYPE function_calls_total counter
function_calls_total{method="GET"} 3
function_calls_total{path="a \"b\" }",method="GET"} 1.5e1
function_calls_total{method="POST",} 2 1700000000000
# TYPE function_duration_seconds histogram
function_duration_seconds_bucket{method="GET",le="+Inf"} 3
function_duration_seconds_sum{method="GET"} 0.5
function_duration_seconds_count{method="GET"} 3
go_goroutines 8
go_limit +Inf
`)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.calls(callsTotal, "GET"); got != 18 {
		t.Errorf("GET: got %v, want 18", got)
	}
	if got := m.calls(callsTotal, "POST"); got != 2 {
		t.Errorf("POST: got %v, want 2", got)
	}
	if got := m.calls(callsTotal, "PUT"); got != 0 {
		t.Errorf("PUT: got %v, want 0", got)
	}
	if got := m.calls(durations, "GET"); got != 3 {
		t.Errorf("calls of GET with a duration: got %v, want 3", got)
	}
	if err := m.types(map[string]string{callsTotal: "counter", durations: "histogram"}); err != nil {
		t.Error(err)
	}
	if err := m.types(map[string]string{failuresTotal: "counter"}); err == nil {
		t.Error("a family that is missing was found")
	}
	for _, text := range []string{"<html>", "a{b} 1", `a{b="c} 1`, "a b"} {
		if _, err := parseMetrics(text); err == nil {
			t.Errorf("%q was parsed", text)
		}
	}
}

func TestAccessLine(t *testing.T) {
	for line, missing := range map[string]string{
		`2026-01-02T03:04:05.006Z POST /a/b 200 1.234ms 4321`:                                                                             "",
		`127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] "POST /a/b HTTP/1.1" 200 4321 0.012`:                                                  "",
		`{"time":"2026-01-02T03:04:05Z","method":"POST","path":"/a/b","status":200,"duration":0.0012,"bytes":4321}`:                       "",
		`2026-01-02T03:04:05Z POST /a/b 200`:                                                                                              "without 4321, the duration",
		`127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] "POST /a/b HTTP/1.1" 200 4321`:                                                        "without the duration",
		`POST /a/b 500 1.234ms 4321`:                                                                                                      "without the date, 200",
		`2026-01-02T03:04:05.006Z GET /a/b 200 12µs 4321`:                                                                                 "without POST",
		`2026-01-02T03:04:05.006Z POST /a/bc 200 1.234ms 4321`:                                                                            "got 0",
		"2026-01-02T03:04:05.006Z POST /a/b 200 1.234ms 4321\n2026-01-02T03:04:05.006Z POST /a/b 200 1.234ms 4321":                        "got 2",
		"2026-01-02T03:04:05.006Z POST /a/b 200 1.234ms 4321\n2026-01-02T03:04:05.006Z PUT /a/b/fails 500 1.234ms 20 \"function failed\"": "",
	} {
		_, err := accessLine(strings.Split(line, "\n"), "/a/b", "POST", "200", "4321")
		if missing == "" && err != nil || missing != "" && (err == nil || !strings.Contains(err.Error(), missing)) {
			t.Errorf("%s\n\tgot %v, want %q", line, err, missing)
		}
	}
}

func TestPlace(t *testing.T) {
	f := source{file: "broken.py", content: []byte("import os\n# The next line is a syntax error.\nx = = 1\n")}
	p := newErrorPosition(f)
	for text, want := range map[string]bool{
		`File "/kubeless/broken.py", line 3`:                     true,
		"./broken.py:3:5: unexpected":                            true,
		"PHP Parse error in /kubeless/broken.py on line 4":       true,
		"broken.py:[3,5] ';' expected":                           true,
		`File "/kubeless/broken.py", line 1`:                     false,
		"broken.py:99":                                           false,
		"other.py:3":                                             false,
		"broken.py cannot be loaded":                             false,
		"loading broken.py failed\nFile broken.py, line 3, in x": true,
	} {
		if got := p.in(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestSameTexts(t *testing.T) {
	want := map[string]any{"timeout": "180", "runtime": "x"}
	for body, same := range map[string]bool{
		`{"timeout":180,"runtime":"x"}`:           true,
		`{"timeout":180.0,"runtime":"x"}`:         true,
		`{"timeout":"180","runtime":"x"}`:         true,
		`{"timeout":181,"runtime":"x"}`:           false,
		`{"timeout":"180"}`:                       false,
		`{"timeout":"180","runtime":"x","y":"z"}`: false,
		`no JSON`: false,
	} {
		if got := sameTexts(body, want); got != same {
			t.Errorf("%s: got %v", body, got)
		}
	}
}
