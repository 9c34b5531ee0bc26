package jsonnet_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// TestOutline cuts the parts out of a source by their ranges.
func TestOutline(t *testing.T) {
	source := `// Comment: é.
local python = { local v = self, name: 'p' + v.version };
local f(x, y=[1]) = [n for n in x];
{
  'ID': 'python',
  versions: [
    python { version: '1', eol:: '2030-01-01' },  // [no list]
    (python) { version: '2', images: [] },
    f([2]) + python,
  ],
  method(z):: z,
}
`
	want := []string{
		"list [1] of [1]",
		"list [ python { … }, (python) { … }, f([2]) + python, ] of [python { version: '1', eol:: '2030-01-01' } (python) { version: '2', images: [] } f([2]) + python]",
		"list [] of []",
		"list [2] of [2]",
		"field name: name: 'p' + v.version",
		"field versions: versions: [ … ]",
		"field version: version: '1'",
		"field eol: eol:: '2030-01-01'",
		"field version: version: '2'",
		"field images: images: []",
		"field method: method(z):: z",
		"name python: python",
		"inner v: v = self",
		"name v: v",
		"name f: f",
		"inner x: x",
		"inner y: y=[1]",
		"inner n: [n for n in x]",
		"name n: n",
		"name x: x",
		"name python: python",
		"name python: python",
		"name f: f",
		"name python: python",
		"inner z: z",
		"name z: z",
	}
	for _, text := range []string{source, strings.ReplaceAll(source, "\n", "\r\n")} {
		outline, err := jsonnet.New().Outline("x.jsonnet", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := described(outline, text)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] && !strings.Contains(want[i], "…") {
				t.Errorf("%d: %s\nwant %s", i, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d parts: %q", len(got), got)
		}
	}
	if _, err := jsonnet.New().Outline("/x.jsonnet", []byte("[1\n2]")); err == nil || !strings.HasPrefix(err.Error(), "/x.jsonnet:2:") {
		t.Errorf("of a source that does not parse: %v", err)
	}
}

// described are the parts, each with the text in its range on one line.
func described(outline provenance.Outline, source string) []string {
	cut := func(r provenance.Range) string { return strings.Join(strings.Fields(source[r.Start:r.End]), " ") }
	var all []string
	for _, list := range outline.Lists {
		var elements []string
		for _, element := range list.Elements {
			elements = append(elements, cut(element))
		}
		all = append(all, fmt.Sprintf("list %s of %s", cut(list.Range), elements))
	}
	for _, field := range outline.Fields {
		all = append(all, fmt.Sprintf("field %s: %s", field.Name, cut(field.Range)))
	}
	for _, name := range outline.Names {
		kind := "name"
		if name.Inner {
			kind = "inner"
		}
		all = append(all, fmt.Sprintf("%s %s: %s", kind, name.Name, cut(name.Range)))
	}
	return all
}

// TestOutlineObjects tells which object a field is of.
func TestOutlineObjects(t *testing.T) {
	source := `{ a: { b: 1 } }`
	outline, err := jsonnet.New().Outline("x.jsonnet", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]string{}
	for _, field := range outline.Fields {
		objects[field.Name] = source[field.Object.Start:field.Object.End]
	}
	if want := map[string]string{"a": source, "b": "{ b: 1 }"}; !reflect.DeepEqual(objects, want) {
		t.Errorf("the objects are %q", objects)
	}
}
