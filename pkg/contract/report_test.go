package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/contract"
)

func sample() *contract.SubjectReport {
	return &contract.SubjectReport{
		Runtime: "python", Version: "3.13", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 20,
		Images: []contract.Verified{{Phase: "runtime", Reference: "kubeless/python:3.13", ID: "sha256:12"}},
		Results: []contract.Result{
			{Check: "load", Status: contract.StatusPassed, Detail: "phases 0.5 s", Seconds: 0.5},
			{Check: "stream", Status: contract.StatusSkipped, Detail: "it cannot"},
			{Check: "metrics", Status: contract.StatusFailed, Detail: "want 3,\ngot \x1b[1m2", Seconds: 1, Log: []string{"last line"}},
		},
	}
}

func TestReportErr(t *testing.T) {
	r := sample()
	if err := r.Err(); err == nil || err.Error() != "python 3.13 breaks the contract: 1 of 3 checks failed: metrics: want 3, got \x1b[1m2" {
		t.Errorf("got %v", err)
	}
	r.Results = r.Results[:2]
	if err := r.Err(); err != nil {
		t.Errorf("got %v", err)
	}
	if err := contract.Unverified(contract.Subject{Runtime: "x"}, time.Now(), errors.New("no image")).Err(); err == nil || err.Error() != "no image" {
		t.Errorf("got %v", err)
	}
}

func TestDocument(t *testing.T) {
	d := contract.NewDocument("an engine", time.Now(), time.Second, []*contract.SubjectReport{
		sample(), contract.Unverified(contract.Subject{Runtime: "x"}, time.Now(), errors.New("no image")),
	})
	var out bytes.Buffer
	if err := d.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var again contract.Document
	if err := json.Unmarshal(out.Bytes(), &again); err != nil || again.Schema != contract.Schema || !slices.EqualFunc(again.Subjects[0].Results, sample().Results, func(a, b contract.Result) bool { return a.Check == b.Check && a.Detail == b.Detail }) {
		t.Errorf("%v in\n%s", err, out.String())
	}
	out.Reset()
	if err := d.JUnit(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<testsuite name="contract python 3.13" tests="3" failures="1" errors="0" skipped="1" time="20.000"`,
		`<testcase name="load" classname="contract.python3.13" time="0.500">`,
		`<skipped message="it cannot">`,
		`<failure message="want 3," type="contract">want 3,&#xA;got 2&#xA;&#xA;last line</failure>`,
		`<testsuite name="contract x" tests="1" failures="1"`,
		`<failure message="no image" type="contract">no image</failure>`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the XML lacks %s\n%s", want, out.String())
		}
	}
}

// The table of checks for people is complete, in order, and says the same.
func TestDocs(t *testing.T) {
	content, err := os.ReadFile("../../docs/CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(content)
	for _, d := range contract.Checks() {
		row := "| `" + d.Name + "` | " + d.About + " |\n"
		_, after, found := strings.Cut(rest, row)
		if !found {
			t.Errorf("docs/CONTRACT.md lacks this line, or has it in another place:\n%s", row)
			continue
		}
		rest = after
	}
}

func TestCheckNames(t *testing.T) {
	if err := contract.CheckNames([]string{"get", "metrics"}); err != nil {
		t.Error(err)
	}
	if err := contract.CheckNames([]string{"get", "gte"}); err == nil || !strings.Contains(err.Error(), `"gte"; there are: load, `) {
		t.Errorf("got %v", err)
	}
}
