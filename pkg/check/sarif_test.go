package check_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rtbuild/rtbuild/pkg/check"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// What is written for code scanning is what the schema of SARIF 2.1.0 says, which
// is OASIS' own: findings of every rule, with a place, with part of one and with
// none, and no findings at all.
func TestSARIFSchema(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	var findings []manifest.Finding
	for _, rule := range check.Rules() {
		for _, position := range []provenance.Position{{}, {File: "/tree/stable/a b/ä#1.jsonnet"}, {File: "/tree/x", Line: 3}, {File: "/tree/x", Line: 3, Column: 7}} {
			findings = append(findings, manifest.Finding{
				Severity: rule.Severity, Rule: rule.Name, Position: position, Subject: "go 1", Message: "is \"wrong\" <here>",
			})
		}
	}
	for name, findings := range map[string][]manifest.Finding{"all rules": findings, "none": nil} {
		var out bytes.Buffer
		if err := check.SARIF(&out, "/tree", "v1.2.3", findings); err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, out.String()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var log struct{ Runs []struct{ Results []any } }
		if err := json.Unmarshal(out.Bytes(), &log); err != nil || len(log.Runs) != 1 || len(log.Runs[0].Results) != len(findings) {
			t.Errorf("%s: not all of %d findings are there: %v", name, len(findings), err)
		}
		// The schema refuses what is not SARIF.
		for old, wrong := range map[string]string{`"version": "2.1.0"`: `"version": "2.2"`, `"results": [`: `"result": [`, `"columnKind": "unicodeCodePoints"`: `"columnKind": "bytes"`} {
			changed := strings.Replace(out.String(), old, wrong, 1)
			if changed == out.String() {
				t.Fatalf("%s is not in\n%s", old, changed)
			}
			if validate(schema, changed) == nil {
				t.Errorf("%s: the schema takes %s", name, wrong)
			}
		}
	}
}

func validate(schema *jsonschema.Schema, text string) error {
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(instance)
}
