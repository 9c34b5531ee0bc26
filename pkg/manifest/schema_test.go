package manifest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

const schemaFile = "../../docs/manifest.schema.json"

// TestSchemaAndPage holds that the JSON Schema and the page have the fields that the
// decoder reads, as required and of the types that it wants.
func TestSchemaAndPage(t *testing.T) {
	evaluated, all := map[manifest.Object][]string{}, map[manifest.Object][]string{}
	schema := schemaFields(t)
	for _, f := range manifest.Fields() {
		need := "optional"
		switch {
		case f.Required:
			need = "required"
		case f.Hidden:
			need = "hidden"
		}
		line := fmt.Sprintf("%s %s %s", f.Name, f.Type, need)
		all[f.Of] = append(all[f.Of], line)
		if f.Hidden {
			if _, ok := schema[manifest.Object(f.Name)]; !ok {
				t.Errorf("the schema has no definition of the hidden %s", f.Name)
			}
			continue
		}
		evaluated[f.Of] = append(evaluated[f.Of], line)
	}
	for object, fields := range schema {
		slices.Sort(evaluated[object])
		if !slices.Equal(fields, evaluated[object]) {
			t.Errorf("the schema has of %s %q, want %q", object, fields, evaluated[object])
		}
	}
	page := pageFields(t)
	for object, fields := range all {
		slices.Sort(fields)
		if !slices.Equal(page[object], fields) {
			t.Errorf("docs/MANIFEST.md has of %s %q, want %q", object, page[object], fields)
		}
	}
}

func schemaFields(t *testing.T) map[manifest.Object][]string {
	source, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[manifest.Object]struct {
			Required   []string
			Properties map[string]struct {
				Type                 any
				AdditionalProperties any
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(source, &schema); err != nil {
		t.Fatal(err)
	}
	fields := map[manifest.Object][]string{}
	for object, def := range schema.Defs {
		fields[object] = nil
		for name, property := range def.Properties {
			need := "optional"
			if slices.Contains(def.Required, name) {
				need = "required"
			}
			kind := property.Type
			if list, ok := kind.([]any); ok {
				kind = list[0]
			}
			switch {
			case kind == "array":
				kind = "list"
			case kind == "object" && property.AdditionalProperties != nil:
				kind = "object of strings"
			}
			fields[object] = append(fields[object], fmt.Sprintf("%s %s %s", name, kind, need))
		}
		slices.Sort(fields[object])
	}
	return fields
}

func pageFields(t *testing.T) map[manifest.Object][]string {
	source, err := os.ReadFile("../../docs/MANIFEST.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[manifest.Object][]string{}
	var object manifest.Object
	row := regexp.MustCompile("^\\| `([A-Za-z]+)` \\| (string|list|object|object of strings) \\| (required|optional|hidden) \\|")
	for line := range strings.Lines(string(source)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			heading = strings.TrimSpace(heading)
			object = manifest.Object(strings.ToLower(heading[:1]) + heading[1:])
		}
		if match := row.FindStringSubmatch(line); match != nil {
			fields[object] = append(fields[object], strings.Join(match[1:], " "))
		}
	}
	for _, found := range fields {
		slices.Sort(found)
	}
	return fields
}

// whole is a document with every field that is evaluated.
func whole() map[string]any {
	image := map[string]any{"phase": "installation", "image": "acme/go-init:1", "command": "true", "env": map[string]any{"A": ""}, "secrets": []any{map[string]any{"name": "s"}}}
	run := map[string]any{"phase": "runtime", "image": "acme/go:1"}
	version := map[string]any{"name": "go1", "version": "1", "images": []any{image, run}, "imagePullSecrets": []any{map[string]any{"imageSecret": "s"}}}
	return map[string]any{"ID": "go", "depName": "go.mod", "fileNameSuffix": ".go", "versions": []any{version}, "livenessProbeInfo": map[string]any{}}
}

// objects are the objects of a document, by kind.
func objects(runtime map[string]any) map[manifest.Object]map[string]any {
	version := runtime["versions"].([]any)[0].(map[string]any)
	image := version["images"].([]any)[0].(map[string]any)
	return map[manifest.Object]map[string]any{
		manifest.ObjectRuntime: runtime, manifest.ObjectVersion: version, manifest.ObjectImage: image,
		manifest.ObjectPullSecret: version["imagePullSecrets"].([]any)[0].(map[string]any),
		manifest.ObjectSecret:     image["secrets"].([]any)[0].(map[string]any),
	}
}

// TestSchemaAndDecoder holds that the schema and the decoder take and refuse the same
// documents.
func TestSchemaAndDecoder(t *testing.T) {
	type change struct {
		name   string
		object manifest.Object
		field  string
		value  any
		drop   bool
		valid  bool
	}
	changes := []change{
		{name: "nothing changed", object: manifest.ObjectRuntime, field: "ID", value: "go", valid: true},
		{name: "digits in the ID", object: manifest.ObjectRuntime, field: "ID", value: "go1"},
		{name: "an empty ID", object: manifest.ObjectRuntime, field: "ID", value: ""},
		{name: "a suffix without dot", object: manifest.ObjectRuntime, field: "fileNameSuffix", value: "go"},
		{name: "no suffix", object: manifest.ObjectRuntime, field: "fileNameSuffix", value: "", valid: true},
		{name: "depName taken", object: manifest.ObjectRuntime, field: "depName", value: "handler"},
		{name: "depName with a space", object: manifest.ObjectRuntime, field: "depName", value: "go mod"},
		{name: "no versions", object: manifest.ObjectRuntime, field: "versions", value: []any{}},
		{name: "letters in the version", object: manifest.ObjectVersion, field: "version", value: "1-rc1"},
		{name: "an empty version", object: manifest.ObjectVersion, field: "version", value: "", valid: true},
		{name: "an unknown phase", object: manifest.ObjectImage, field: "phase", value: "install"},
		{name: "no phase runtime", object: manifest.ObjectVersion, field: "images", value: []any{map[string]any{"phase": "installation", "image": "a/b:1", "command": "x"}}},
		{name: "a number in env", object: manifest.ObjectImage, field: "env", value: map[string]any{"A": 1}},
	}
	wrong := map[string]any{"string": 1, "list": "x", "object": "x", "object of strings": []any{"A=b"}}
	for _, f := range manifest.Fields() {
		if f.Of == manifest.ObjectBuild || f.Hidden {
			continue
		}
		changes = append(changes,
			change{name: "without " + f.Name, object: f.Of, field: f.Name, drop: true, valid: !f.Required},
			change{name: "null for " + f.Name, object: f.Of, field: f.Name, value: nil, valid: !f.Required},
			change{name: "another type for " + f.Name, object: f.Of, field: f.Name, value: wrong[f.Type]},
			change{name: "an unknown field beside " + f.Name, object: f.Of, field: "unheard", value: "x"},
		)
	}
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Run(string(c.object)+" "+c.name, func(t *testing.T) {
			document := whole()
			object := objects(document)[c.object]
			object[c.field] = c.value
			if c.drop {
				delete(object, c.field)
			}
			encoded, err := json.Marshal([]any{document})
			if err != nil {
				t.Fatal(err)
			}
			if findings := decode(t, encoded); (len(findings) == 0) != c.valid {
				t.Errorf("the decoder finds %q, want valid: %t", findings, c.valid)
			}
			instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(encoded)))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(instance); (err == nil) != c.valid {
				t.Errorf("the schema says %v, want valid: %t", err, c.valid)
			}
		})
	}
}

// decode are the findings of a document, but those about commands: that one
// installation needs a command is not in the schema.
func decode(t *testing.T, document []byte) []manifest.Finding {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, manifest.DefaultEntry), document, 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(tree.Findings, func(f manifest.Finding) bool { return f.Rule == manifest.RuleCommand })
}
