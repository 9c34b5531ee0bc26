package report_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/report"
)

var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func job(started time.Time, seconds int, targets ...report.Target) *report.Report {
	for i := range targets {
		targets[i].Dockerfile = "stable/x/Dockerfile"
	}
	return report.New(started, time.Duration(seconds)*time.Second, targets)
}

func TestMerge(t *testing.T) {
	first := job(noon.Add(time.Minute), 30,
		report.Target{Name: "base:1", Status: build.StatusBuilt, Pushed: true, Digest: digest("a")},
		report.Target{Name: "python:3.13", Status: build.StatusBuilt, Pushed: true, Digest: digest("b")})
	first.Engine, first.Registry = "embedded", "ghcr.io/acme"
	second := job(noon, 10,
		report.Target{Name: "base:1", Status: build.StatusFresh, Digest: digest("a")},
		report.Target{Name: "go:1.24", Status: build.StatusFailed, Error: "exit code: 1"})
	second.Engine, second.Registry = "docker", "ghcr.io/acme"
	third := job(noon.Add(20*time.Second), 5, report.Target{Name: "php:8.4", Status: build.StatusSkipped})
	third.Engine, third.Registry = "embedded", "ghcr.io/acme"

	got, err := report.Merge(first, second, third)
	if err != nil {
		t.Fatal(err)
	}
	want := job(noon, 90, first.Targets[0], first.Targets[1], second.Targets[1], third.Targets[0])
	want.Engine, want.Registry = "embedded, docker", "ghcr.io/acme"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if len(first.Targets) != 2 || first.Targets[0].Status != build.StatusBuilt {
		t.Error("a merged report was changed")
	}
	var out bytes.Buffer
	if err := got.JSON(&out); err != nil {
		t.Error(err)
	}
}

func TestMergeOne(t *testing.T) {
	r := sample()
	got, err := report.Merge(r)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got\n%+v\nwant\n%+v", got, r)
	}
}

// What counts of a target that two jobs had must not depend on their order.
func TestMergeSameTarget(t *testing.T) {
	failed := report.Target{Status: build.StatusFailed, Error: "exit code: 1"}
	pushed := report.Target{Status: build.StatusBuilt, Digest: digest("a"), Pushed: true}
	fresh := report.Target{Status: build.StatusFresh, Digest: digest("a")}
	built := report.Target{Status: build.StatusBuilt}
	skipped := report.Target{Status: build.StatusSkipped}
	tests := []struct{ more, less report.Target }{
		{failed, pushed}, {failed, fresh}, {failed, built}, {failed, skipped},
		{pushed, fresh}, {pushed, built}, {pushed, skipped},
		{fresh, built}, {fresh, skipped}, {built, skipped}, {failed, failed},
	}
	for _, test := range tests {
		test.more.Name, test.less.Name = "a:1", "a:1"
		more, less := job(noon, 1, test.more), job(noon, 1, test.less)
		for _, order := range [][]*report.Report{{more, less}, {less, more}} {
			got, err := report.Merge(order...)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Targets) != 1 || !reflect.DeepEqual(got.Targets[0], more.Targets[0]) {
				t.Errorf("%s and %s: got %+v", test.more.Status, test.less.Status, got.Targets)
			}
			if got.Totals != more.Totals {
				t.Errorf("%s and %s: %s", test.more.Status, test.less.Status, got.Totals)
			}
		}
	}
}

// A job that finds a tag at the image already came after one that moved it
// there: that is no contradiction.
func TestMergeTags(t *testing.T) {
	tagged := func(status build.Status, before string) report.Target {
		return report.Target{Name: "a:1", Status: status, Pushed: status == build.StatusBuilt, Digest: digest("a"), Tags: []report.Tag{{Reference: "r.example/a:1", Before: before}}}
	}
	first := job(noon, 1, tagged(build.StatusBuilt, digest("b")))
	for _, second := range []*report.Report{
		job(noon, 1, tagged(build.StatusFresh, digest("b"))),
		job(noon, 1, tagged(build.StatusFresh, digest("a"))),
		job(noon, 1, report.Target{Name: "a:1", Status: build.StatusSkipped}),
	} {
		for _, order := range [][]*report.Report{{first, second}, {second, first}} {
			got, err := report.Merge(order...)
			if err != nil || !reflect.DeepEqual(got.Targets, first.Targets) {
				t.Errorf("got %+v, %v", got, err)
			}
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	target := func(fill, fingerprint string, platforms ...string) report.Target {
		return report.Target{Name: "a:1", Status: build.StatusBuilt, Pushed: true, Digest: digest(fill), Fingerprint: fingerprint, Platforms: platforms}
	}
	named := func(r *report.Report, source, registry string) *report.Report {
		r.Source, r.Registry = source, registry
		return r
	}
	tagged := func(fill string) report.Target {
		t := target("a", "")
		t.Tags = []report.Tag{{Reference: "r.example/a:1"}}
		if fill != "" {
			t.Tags[0].Before = digest(fill)
		}
		return t
	}
	damaged := job(noon, 1, target("a", ""))
	damaged.Targets[0].Digest = "sha256:12"
	tests := []struct {
		name    string
		reports []*report.Report
		want    []string
	}{
		{"none", nil, []string{"there are none"}},
		{"two digests, by number", []*report.Report{job(noon, 1), job(noon, 1, target("a", "")), job(noon, 1, target("b", ""))},
			[]string{"a:1 has the digest " + digest("a") + " in report 2 and " + digest("b") + " in report 3: build it in one job"}},
		{"two digests, by file", []*report.Report{named(job(noon, 1, target("a", "")), "x.json", ""), named(job(noon, 1, target("b", "")), "y.json", "")},
			[]string{"in x.json and", "in y.json"}},
		{"two platforms", []*report.Report{job(noon, 1, target("a", "", "linux/amd64")), job(noon, 1, target("b", "", "linux/arm64"))},
			[]string{"build all of its platforms in one job"}},
		{"two fingerprints", []*report.Report{job(noon, 1, target("a", "f1")), job(noon, 1, target("a", "f2"))},
			[]string{"different inputs", "f1 in report 1 and f2 in report 2"}},
		{"two registries", []*report.Report{named(job(noon, 1), "x.json", "ghcr.io/acme"), named(job(noon, 1), "y.json", "")},
			[]string{"x.json is of ghcr.io/acme, and y.json of the registries that the manifests name"}},
		{"a tag that moved between", []*report.Report{job(noon, 1, tagged("b")), job(noon, 1, tagged("c"))},
			[]string{"r.example/a:1 pointed to " + digest("b") + " in report 1 and to " + digest("c") + " in report 2: somebody else moved it"}},
		{"a tag that was made between", []*report.Report{job(noon, 1, tagged("")), job(noon, 1, tagged("c"))},
			[]string{"r.example/a:1 pointed to nothing in report 1"}},
		{"a bad digest", []*report.Report{damaged}, []string{"report 1: target 1 (a:1): digest"}},
		{"everything at once", []*report.Report{job(noon, 1, target("a", "")), named(job(noon, 1, target("b", "")), "", "ghcr.io/acme")},
			[]string{"report 2 of ghcr.io/acme", "in report 2: build it"}},
	}
	for _, test := range tests {
		got, err := report.Merge(test.reports...)
		if err == nil {
			t.Errorf("%s: merged as %+v", test.name, got)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", test.name, err, want)
			}
		}
	}
}
