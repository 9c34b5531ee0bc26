package provenance_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

func TestStrings(t *testing.T) {
	doc := `{"a": ["x", {"b/c~": "é\n\"]"}, 1, [], "y"], "": {"z": "{,:"}, "n": null}`
	tokens, err := provenance.Strings([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, token := range tokens {
		kind := "value "
		if token.Key {
			kind = "key "
		}
		got = append(got, kind+token.Pointer+" "+doc[token.Start:token.End]+" "+token.Value)
	}
	want := []string{
		`key /a "a" a`, `value /a/0 "x" x`, `key /a/1/b~1c~0 "b/c~" b/c~`, "value /a/1/b~1c~0 \"é\\n\\\"]\" é\n\"]",
		`value /a/4 "y" y`, `key / ""` + ` `, `key //z "z" z`, `value //z "{,:" {,:`, `key /n "n" n`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the strings are\n%q, want\n%q", got, want)
	}
	if tokens, err := provenance.Strings([]byte(`"top"`)); err != nil || len(tokens) != 1 || tokens[0].Pointer != "" {
		t.Errorf("a document that is a string has %v, %v", tokens, err)
	}
	if _, err := provenance.Strings([]byte(`{"a"}`)); err == nil {
		t.Error("no error for what is no JSON")
	}
}

// A document that is evaluated with an expression is the same to the byte as on
// its own, whatever is in its strings.
func TestEvaluateWith(t *testing.T) {
	for name, source := range map[string]string{
		"runtimes": `[{ ID: 'a', versions: [{ images: [{ image: 'x', build:: 1 }], empty: [], none: {} }] }, import "other"]`,
		"breaks":   "{ a: 'one\\n   two', b: \"\\n      \", c: |||\n  text\n     more\n|||, '\\n   key': null }",
		"a string": `"x\n   y"`,
		"a number": `1.5`,
		"nothing":  `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			entry := filepath.Join(dir, "it's \"main\".jsonnet")
			for path, text := range map[string]string{entry: source, filepath.Join(dir, "other"): `{ ID: 'b' }`} {
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := provenance.Load(t.Context(), jsonnet.New(), entry)
			if err != nil {
				t.Fatal(err)
			}
			got, expression, err := provenance.EvaluateWith(t.Context(), jsonnet.New(), entry, "local x = 1;\n[std.type(document), x]")
			if err != nil {
				t.Fatal(err)
			}
			if string(got.JSON) != string(want.JSON) {
				t.Errorf("the document is %q, want %q", got.JSON, want.JSON)
			}
			if !reflect.DeepEqual(got.Files, want.Files) || !reflect.DeepEqual(got.Imported(), want.Imported()) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if fields := strings.Fields(string(expression)); len(fields) != 4 || fields[2] != "1" {
				t.Errorf("the expression is %s", expression)
			}
		})
	}
	if _, _, err := provenance.EvaluateWith(t.Context(), jsonnet.New(), filepath.Join(t.TempDir(), "none"), "1"); err == nil {
		t.Error("no error for a document that is not there")
	}
}

func TestLine(t *testing.T) {
	source := []byte("a\r\né x\n\n")
	for _, test := range []struct{ offset, line, column int }{
		{0, 1, 1}, {1, 1, 2}, {2, 1, 3}, {3, 2, 1}, {6, 2, 4}, {8, 3, 1}, {9, 4, 1},
	} {
		if line, column := provenance.Line(source, test.offset); line != test.line || column != test.column {
			t.Errorf("offset %d is at %d:%d, not %d:%d", test.offset, line, column, test.line, test.column)
		}
	}
}

func TestApply(t *testing.T) {
	for _, test := range []struct {
		name  string
		edits []provenance.Edit
		want  string
	}{
		{"none", nil, "abcdef"},
		{"in any order", []provenance.Edit{{Start: 4, End: 6, Text: "X"}, {Start: 0, End: 0, Text: "Y"}, {Start: 1, End: 1, Text: "Z"}}, "YaZbcdX"},
		{"side by side", []provenance.Edit{{Start: 0, End: 3}, {Start: 3, End: 6, Text: "-"}}, "-"},
		{"overlapping", []provenance.Edit{{Start: 0, End: 3}, {Start: 2, End: 6}}, ""},
		{"outside", []provenance.Edit{{Start: 6, End: 7}}, ""},
		{"backwards", []provenance.Edit{{Start: 3, End: 2}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := provenance.Apply([]byte("abcdef"), test.edits)
			if (err != nil) != (test.want == "") || string(got) != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestTrace(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{"main": `{ a: "AAAA" + "BBBB", b: if "CCCC" == "CCCC" then 1 else 2, c:: "DDDD", AAAA: $.a }`})
	entry := filepath.Join(dir, "main")
	ctx := context.Background()
	doc, err := provenance.Load(ctx, jsonnet.New(), entry)
	if err != nil {
		t.Fatal(err)
	}
	var marks []provenance.Edit
	for i, text := range []string{`AAAA"`, "BBBB", "CCCC", "DDDD", "AAAA:"} {
		at := strings.Index(string(doc.Files[entry]), text)
		marks = append(marks, provenance.Edit{File: entry, Start: at, End: at + 4, Text: "Z" + strings.Repeat(string(rune('0'+i)), 3)})
	}
	marks[2].Text = "(((("
	traces, err := doc.Trace(ctx, marks, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, trace := range traces {
		text := ""
		for _, hit := range trace.Hits {
			token := doc.Strings[hit.String]
			text += token.Pointer + "=" + string(doc.JSON[hit.Offset:hit.Offset+4])
			if token.Key {
				text += "(key)"
			}
			text += " "
		}
		if trace.Err != nil {
			text += "depends"
		}
		got = append(got, strings.TrimSpace(text))
	}
	want := []string{"/AAAA=AAAA /a=AAAA", "/AAAA=BBBB /a=BBBB", "depends", "", "/AAAA=AAAA(key)"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the traces are %q, want %q", got, want)
	}
	limited, err := doc.Trace(ctx, marks, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, trace := range limited {
		if trace.Err == nil {
			t.Errorf("mark %d was traced in spite of the limit", i)
		}
	}
	if _, err := doc.Trace(ctx, []provenance.Edit{{File: entry, Text: "x"}, {File: entry, Text: "yy"}}, 0); err == nil {
		t.Error("marks of two lengths were taken")
	}
}

// TestEvaluateEdited shows that what is evaluated is the document as it was
// loaded, also where the file has changed since.
func TestEvaluateEdited(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{"main": `["a"]`})
	entry := filepath.Join(dir, "main")
	ctx := context.Background()
	doc, err := provenance.Load(ctx, jsonnet.New(), entry)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(entry, []byte(`"changed"`), 0o644); err != nil {
		t.Fatal(err)
	}
	document := func(edits ...provenance.Edit) string {
		out, err := doc.EvaluateEdited(ctx, edits)
		if err != nil {
			return err.Error()
		}
		return strings.Join(strings.Fields(string(out)), "")
	}
	if got := document(provenance.Edit{File: entry, Start: 2, End: 3, Text: "b"}); got != `["b"]` {
		t.Errorf("edited: %s", got)
	}
	if got := document(); got != `["a"]` {
		t.Errorf("not edited: %s", got)
	}
	if got := document(provenance.Edit{File: "/other"}); !strings.Contains(got, "does not read this file") {
		t.Errorf("another file: %s", got)
	}
}

func TestError(t *testing.T) {
	err := error(&provenance.Error{
		Position: provenance.Position{File: "/a", Line: 1, Column: 2},
		Message:  "bad",
		Trace:    []provenance.Frame{{Position: provenance.Position{File: "/b", Line: 3}, Name: "function <f>"}, {Position: provenance.Position{File: "/c"}}},
	})
	if want := "/a:1:2: bad\n\tfrom /b:3 (function <f>)\n\tfrom /c"; err.Error() != want {
		t.Errorf("the error is %q", err)
	}
	var found *provenance.Error
	if !errors.As(err, &found) {
		t.Error("not found by errors.As")
	}
}
