package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/report"
)

var update = flag.Bool("update", false, "write the actual output into the golden files")

func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// sample is a run that met everything that can happen to a target, with logs
// as tools write them.
func sample() *report.Report {
	started := time.Date(2031, 5, 6, 9, 8, 9, 123456789, time.FixedZone("", 2*60*60))
	r := report.New(started, 83*time.Second+456*time.Millisecond, []report.Target{
		{
			Name: "python-init:3.13", Dockerfile: "stable/python/Dockerfile.3.13.init", Kind: "init",
			Status: build.StatusFresh, Reason: "nothing changed", Fingerprint: "3f9a0c", Digest: digest("a"),
			References: []string{"ghcr.io/acme/python-init:3.13", "ghcr.io/acme/python-init:3.13-3f9a0c"},
			Platforms:  []string{"linux/amd64", "linux/arm64"}, Size: 62_100_000, Seconds: 0.031,
			UsedBy: []report.Field{{Runtime: "python", Version: "3.13", Phase: "installation"}},
		},
		{
			Name: "python:3.13", Dockerfile: "stable/python/Dockerfile.3.13", Kind: "runtime",
			Status: build.StatusBuilt, Reason: "stable/python/worker.py changed", Fingerprint: "77b1e2", Digest: digest("b"),
			References: []string{"ghcr.io/acme/python:3.13"}, Platforms: []string{"linux/amd64"}, Size: 940,
			Tags:   []report.Tag{{Reference: "ghcr.io/acme/python:3.13", Before: digest("c")}, {Reference: "ghcr.io/acme/python:3"}},
			Pushed: true, Seconds: 12.345,
			UsedBy: []report.Field{{Runtime: "python", Version: "3.13", Phase: "runtime"}},
		},
		{
			Name: "go:1.24", Dockerfile: "stable/golang, old/Dockerfile:1.24", Kind: "runtime",
			Status: build.StatusFailed, Reason: "base debian:trixie moved",
			Error:   "go:1.24: RUN go build | tee <log> && echo 100%: process \"/bin/sh -c go build\" did not complete successfully: exit code: 1\nsee the log",
			Log:     []string{"\x1b[31m# kubeless/proxy\x1b[0m", "", "\tmain.go:7:2: undefined: `x` & <y>\r", "raw \x00\x07 \xff\xfe bytes \uffff", "::error::not ours ##[endgroup]", "</pre>"},
			Seconds: 70.5,
		},
		{
			Name: "go-init:1.24", Dockerfile: "stable/golang/Dockerfile.init", Kind: "init",
			Status: build.StatusSkipped, Reason: "a parent failed: go:1.24",
		},
		{Name: "proxy:latest", Dockerfile: "proxy/Dockerfile", Kind: "support", Status: build.StatusBuilt, Reason: "new"},
	})
	r.Registry, r.Engine = "ghcr.io/acme", "buildkitd v0.33.1"
	return r
}

func TestGolden(t *testing.T) {
	r := sample()
	tests := map[string]func(io.Writer) error{
		"report.json":     r.JSON,
		"report.xml":      r.JUnit,
		"summary.md":      r.Summary,
		"annotations.txt": r.GitHubAnnotations,
		"group.txt": func(w io.Writer) error {
			return report.GitHubGroup(w, "go:1.24, 100%\nfailed", r.Targets[2].Log)
		},
	}
	for name, write := range tests {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs; run go test -update and read the diff\n%s", file, got.Bytes())
			}
		})
	}
}

func TestTotals(t *testing.T) {
	r := sample()
	want := report.Totals{Built: 2, Fresh: 1, Pushed: 1, Failed: 1, NotTried: 1, Seconds: 83.456}
	if r.Totals != want {
		t.Errorf("got %+v, want %+v", r.Totals, want)
	}
	lines := map[float64]string{
		12.34: "3 built, 27 fresh, 2 pushed, 0 failed, 1 not tried, in 12.3s",
		0:     "3 built, 27 fresh, 2 pushed, 0 failed, 1 not tried, in 0s",
		83.44: "3 built, 27 fresh, 2 pushed, 0 failed, 1 not tried, in 1m23.4s",
	}
	for seconds, want := range lines {
		totals := report.Totals{Built: 3, Fresh: 27, Pushed: 2, NotTried: 1, Seconds: seconds}
		if got := totals.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	tests := map[string]*report.Report{
		"sample":     sample(),
		"no targets": report.New(time.Now(), 0, nil),
	}
	for name, r := range tests {
		for i := range r.Targets {
			// What is no UTF-8 comes back as U+FFFD.
			for j, line := range r.Targets[i].Log {
				r.Targets[i].Log[j] = string([]rune(line))
			}
		}
		var out bytes.Buffer
		if err := r.JSON(&out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := report.ReadJSON(&out)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%s: read\n%+v\nwrote\n%+v", name, got, r)
		}
	}
}

// New must not change the list that it is given: the caller's may be in use.
func TestNewCopies(t *testing.T) {
	targets := []report.Target{{Name: "a"}}
	report.New(time.Now(), 0, targets)
	if targets[0].UsedBy != nil {
		t.Error("the caller's target was changed")
	}
}

// edited is the sample's JSON with the value at a path replaced; a nil value
// removes it.
func edited(t *testing.T, value any, path ...any) string {
	t.Helper()
	var out bytes.Buffer
	if err := sample().JSON(&out); err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	var at any = document
	for _, step := range path[:len(path)-1] {
		if i, ok := step.(int); ok {
			at = at.([]any)[i]
			continue
		}
		at = at.(map[string]any)[step.(string)]
	}
	key := path[len(path)-1].(string)
	if value == nil {
		delete(at.(map[string]any), key)
	} else {
		at.(map[string]any)[key] = value
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadJSONRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", "", "unexpected end of JSON input"},
		{"no JSON", "{\n\"schema\": \"rtbuild.report\",\n<", "line 3: invalid character"},
		{"truncated", edited(t, 1, "version")[:300], "unexpected end of JSON input"},
		{"two documents", edited(t, 1, "version") + "{}", "after top-level value"},
		{"an array", `[{"name": "python:3.13"}]`, "this is a JSON array, not a report"},
		{"no schema", "{}", `schema is missing, want "rtbuild.report"`},
		{"another schema", `{"schema": "other", "version": 1}`, `schema is "other", want "rtbuild.report"`},
		{"an object for a schema", `{"schema": {"a": "` + strings.Repeat("é", 100) + `"}}`, "…, want"},
		{"a newer version", edited(t, 2, "version"), "this is version 2 of the schema, and this rtbuild reads version 1"},
		{"a newer version of another shape", `{"schema": "rtbuild.report", "version": 2, "targets": {}}`, "this is version 2"},
		{"a version in words", edited(t, "1", "version"), `this is version "1" of the schema`},
		{"no version", edited(t, nil, "version"), "this is version missing"},
		{"no targets", edited(t, nil, "targets"), "targets are missing"},
		{"no start", edited(t, nil, "started"), "started"},
		{"a start beyond years", edited(t, "9999-12-31T23:59:59-01:00", "started"), "started"},
		{"negative seconds", edited(t, -1, "seconds"), "seconds: -1"},
		{"seconds beyond durations", edited(t, 1e300, "targets", 1, "seconds"), "target 2 (python:3.13): seconds: 1e+300"},
		{"a digest of another length", edited(t, "sha256:12", "targets", 1, "digest"), `target 2 (python:3.13): digest: "sha256:12" is not a digest`},
		{"a digest in capitals", edited(t, digest("A"), "targets", 1, "digest"), "is not a digest"},
		{"a tag without a name", edited(t, "", "targets", 1, "tags", 0, "reference"), "target 2 (python:3.13): a tag has no reference"},
		{"a tag that pointed nowhere", edited(t, "1.2", "targets", 1, "tags", 0, "before"), `the tag ghcr.io/acme/python:3.13 before: "1.2" is not a digest`},
		{"pushed without a digest", edited(t, "", "targets", 1, "digest"), "its digest is missing"},
		{"fresh without a digest", edited(t, "", "targets", 0, "digest"), "its digest is missing"},
		{"fresh and pushed", edited(t, true, "targets", 0, "pushed"), `pushed is true, but status is "fresh"`},
		{"another status", edited(t, "cached", "targets", 0, "status"), `status is "cached"; want built, fresh, failed or skipped`},
		{"built with an error", edited(t, "oops", "targets", 1, "error"), "but there is an error: oops"},
		{"failed without an error", edited(t, nil, "targets", 2, "error"), "error is empty"},
		{"no name", edited(t, "", "targets", 0, "name"), `target 1: name is ""`},
		{"no Dockerfile", edited(t, "", "targets", 0, "dockerfile"), `dockerfile is ""`},
		{"a negative size", edited(t, -5, "targets", 0, "size"), "size is -5 bytes"},
		{"a target twice", edited(t, "python-init:3.13", "targets", 4, "name"), "target 5 (python-init:3.13): target 1 has the same name"},
		{"other totals", edited(t, 7, "totals", "built"), "totals say 7 built"},
		{"a number for a name", edited(t, 7, "targets", 0, "name"), "cannot unmarshal number"},
	}
	for _, test := range tests {
		r, err := report.ReadJSON(strings.NewReader(test.in))
		if err == nil {
			t.Errorf("%s: read as %+v", test.name, r)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %q, want %q in it", test.name, err, test.want)
		}
	}
}

func TestReadJSONToleratesNewFields(t *testing.T) {
	for _, in := range []string{edited(t, "x", "colour"), edited(t, []int{1}, "targets", 0, "colour"), edited(t, nil, "targets", 0, "platforms")} {
		if _, err := report.ReadJSON(strings.NewReader(in)); err != nil {
			t.Error(err)
		}
	}
}

// What could not be read again is not written, not even in part.
func TestJSONRefuses(t *testing.T) {
	r := sample()
	r.Targets[1].Digest = "sha256:12"
	r.Targets[2].Error = ""
	var out bytes.Buffer
	err := r.JSON(&out)
	if err == nil || !strings.Contains(err.Error(), "target 2 (python:3.13)") || !strings.Contains(err.Error(), "target 3 (go:1.24)") {
		t.Errorf("got %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("written: %s", &out)
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Read([]byte) (int, error)  { return 0, errBroken }
func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestBrokenPipe(t *testing.T) {
	r := sample()
	for i, write := range []func(io.Writer) error{r.JSON, r.JUnit, r.Summary, r.GitHubAnnotations} {
		if err := write(brokenPipe{}); !errors.Is(err, errBroken) {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if _, err := report.ReadJSON(brokenPipe{}); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}
