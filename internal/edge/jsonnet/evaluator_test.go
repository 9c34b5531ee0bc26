package jsonnet_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

func TestEvaluate(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{
		"main.jsonnet":           `{ b: import "lib/a.libsonnet", a: importstr "lib/text", c: std.length(importbin "lib/bytes"), d:: import "lib/unread" }`,
		"lib/a.libsonnet":        `{ assert (import "asserted.libsonnet"), x: import "deep.json", y: import "../alias" }`,
		"lib/deep.json":          `[1]`,
		"lib/asserted.libsonnet": `true`,
		"lib/text":               "text",
		"lib/bytes":              "\xff\x00",
	})
	if err := os.Symlink("lib/deep.json", filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	result, err := jsonnet.New().Evaluate(context.Background(), provenance.Request{File: filepath.Join(dir, "main.jsonnet")})
	if err != nil {
		t.Fatal(err)
	}
	want := `{
   "a": "text",
   "b": {
      "x": [
         1
      ],
      "y": [
         1
      ]
   },
   "c": 2
}
`
	if string(result.JSON) != want {
		t.Errorf("the document is %s", result.JSON)
	}
	files := map[string]string{}
	for path, content := range result.Files {
		files[strings.TrimPrefix(path, dir+"/")] = string(content)
	}
	if len(files) != 6 || files["lib/deep.json"] != "[1]" || files["lib/bytes"] != "\xff\x00" || files["lib/text"] != "text" {
		t.Errorf("the files are %q", files)
	}
	wantImported := map[string]bool{}
	for _, name := range []string{"main.jsonnet", "lib/a.libsonnet", "lib/deep.json", "lib/asserted.libsonnet"} {
		wantImported[filepath.Join(dir, name)] = true
	}
	if !reflect.DeepEqual(result.Imported(), wantImported) {
		t.Errorf("imported are %v", result.Imported())
	}
}

func TestEvaluateReplace(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{
		"main.jsonnet": `[import "one", import "./sub/../one", importstr "one"]`,
		"one":          `"old"`,
		"sub/x":        "",
	})
	calls := map[string]int{}
	result, err := jsonnet.New().Evaluate(context.Background(), provenance.Request{
		File: filepath.Join(dir, "main.jsonnet"),
		Replace: func(path string, source []byte) []byte {
			calls[filepath.Base(path)]++
			return []byte(strings.ReplaceAll(string(source), "old", "new"))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(string(result.JSON)), ""); got != `["new","new","\"new\""]` {
		t.Errorf("the document is %s", got)
	}
	if string(result.Files[filepath.Join(dir, "one")]) != `"old"` {
		t.Error("the files are not those on disk")
	}
	if !reflect.DeepEqual(calls, map[string]int{"main.jsonnet": 1, "one": 1}) {
		t.Errorf("asked for %v", calls)
	}
}

func TestEvaluateSnippet(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{"main.jsonnet": `{ a:: 1 }`})
	result, err := jsonnet.New().Evaluate(context.Background(), provenance.Request{
		File:    filepath.Join(dir, "main.jsonnet"),
		Snippet: []byte(`document.a`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(result.JSON) != "1\n" || !result.Imported()[filepath.Join(dir, "main.jsonnet")] || len(result.Files) != 1 {
		t.Errorf("the result is %+v", result)
	}
}

// TestVariables evaluates a function of top-level arguments, as the document
// and as what a snippet is about.
func TestVariables(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{
		"main.jsonnet": `function(name, list, text, code, given="default") [name, list, text, code.a, given, std.extVar("name"), std.extVar("code")]`,
		"text":         "a\r\nb",
		"code.jsonnet": `{ a: import "more.jsonnet" }`,
		"more.jsonnet": `"more"`,
	})
	ev, err := jsonnet.New().With(
		jsonnet.Variable{Name: "name", Text: "1+1", Argument: true},
		jsonnet.Variable{Name: "list", Text: "[1+1]", Argument: true, Code: true},
		jsonnet.Variable{Name: "text", Text: filepath.Join(dir, "text"), Argument: true, File: true},
		jsonnet.Variable{Name: "code", Text: filepath.Join(dir, "code.jsonnet"), Argument: true, Code: true, File: true},
		jsonnet.Variable{Name: "name", Text: "ext"},
		jsonnet.Variable{Name: "code", Text: "std.extVar('name') + 1", Code: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, snippet := range map[string][]byte{"document": nil, "snippet": []byte("document")} {
		t.Run(name, func(t *testing.T) {
			result, err := ev.Evaluate(t.Context(), provenance.Request{File: filepath.Join(dir, "main.jsonnet"), Snippet: snippet})
			if err != nil {
				t.Fatal(err)
			}
			want := `["1+1",[2],"a\r\nb","more","default","ext","ext1"]`
			if got := strings.Join(strings.Fields(string(result.JSON)), ""); got != want {
				t.Errorf("the document is %s, want %s", got, want)
			}
			for file, asJsonnet := range map[string]bool{"main.jsonnet": true, "code.jsonnet": true, "more.jsonnet": true, "text": false} {
				path := filepath.Join(dir, file)
				if _, read := result.Files[path]; !read || result.Imported()[path] != asJsonnet {
					t.Errorf("%s: read %t, as Jsonnet %t", file, read, result.Imported()[path])
				}
			}
		})
	}
	for want, v := range map[string]jsonnet.Variable{
		`"a-b" cannot be the name of a top-level argument`: {Name: "a-b", Argument: true},
		"the code of the variable x:1:":                    {Name: "x", Text: "1 +", Code: true},
	} {
		if _, err := jsonnet.New().With(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", v, err, want)
		}
	}
}

// TestLineEndings wants a text block to be the same whatever its lines end in and
// whether a byte order mark is before it, and a file that is read as text to be as
// it is.
func TestLineEndings(t *testing.T) {
	source := "{ a: |||\n    one\n\n    two\n  |||, b: importstr 'script.sh', c: @'x\ny' }\n"
	dir := testfile.Tree(t, map[string]string{"main.jsonnet": "\ufeff" + strings.ReplaceAll(source, "\n", "\r\n"), "script.sh": "\ufeffone\r\n"})
	result, err := jsonnet.New().Evaluate(t.Context(), provenance.Request{File: filepath.Join(dir, "main.jsonnet")})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":"one\n\ntwo\n","b":"` + "\ufeff" + `one\r\n","c":"x\ny"}`
	if got := strings.Join(strings.Fields(string(result.JSON)), ""); got != want {
		t.Errorf("the document is %s, want %s", got, want)
	}
}

// TestLineEndingsOfOtherFiles wants the reason for what Jsonnet says of a text
// block in a file that no name tells from a text.
func TestLineEndingsOfOtherFiles(t *testing.T) {
	block := "|||\n  one\n\n  two\n|||\n"
	dir := testfile.Tree(t, map[string]string{
		"main.jsonnet": "import 'block.txt'", "block.txt": strings.ReplaceAll(block, "\n", "\r\n"),
		"other.jsonnet": "import 'broken.txt'", "broken.txt": "|||\n  one\n",
	})
	for document, said := range map[string]bool{"main.jsonnet": true, "other.jsonnet": false} {
		_, err := jsonnet.New().Evaluate(t.Context(), provenance.Request{File: filepath.Join(dir, document)})
		if err == nil || strings.Contains(err.Error(), "its lines end in CRLF: save it with LF, or name it .libsonnet") != said {
			t.Errorf("%s: %v", document, err)
		}
	}
}

func TestLibraryPaths(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{
		"main.jsonnet": `[import "a", import "b"]`,
		"a":            `"beside"`,
		"lib1/a":       `"lib1"`,
		"lib1/b":       `"lib1"`,
		"lib2/b":       `"lib2"`,
	})
	ev := jsonnet.New(filepath.Join(dir, "lib1"), filepath.Join(dir, "lib2"))
	result, err := ev.Evaluate(context.Background(), provenance.Request{File: filepath.Join(dir, "main.jsonnet")})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(string(result.JSON)), ""); got != `["beside","lib1"]` {
		t.Errorf("the document is %s", got)
	}
}

func TestEvaluateErrors(t *testing.T) {
	for _, test := range []struct {
		name, source, want string
	}{
		{"syntax", "{\n  a: 1,, }", "DIR/main.jsonnet:2:8: Unexpected: \",\" while parsing field definition"},
		{"unknown variable", "{ a: é }", "DIR/main.jsonnet:1:6: Could not lex the character '\\u00e9'"},
		{"syntax in an import", "{ a: import 'bad' }", "DIR/bad:1:4: Expected token OPERATOR but got end of file\n\tfrom DIR/main.jsonnet:1:6 (object <anonymous>)"},
		{"missing import", "{ a: (import 'lib').x }", "DIR/lib:1:6: import \"gone\": no such file: tried DIR/gone\n\tfrom DIR/main.jsonnet:1:6 (object <anonymous>)"},
		{"missing importstr", "importstr '/gone'", "DIR/main.jsonnet:1:1: import \"/gone\": no such file: tried /gone"},
		{"a folder", "import '.'", "DIR/main.jsonnet:1:1: import \".\": read DIR: is a directory"},
		{"own error", "local f(x) = error x; { a: f('because') }", "DIR/main.jsonnet:1:14: because\n\tfrom DIR/main.jsonnet:1:28 (object <anonymous>)"},
		{"within the standard library", "{ a: std.asciiLower(1) }", "DIR/main.jsonnet:1:6: Unexpected type number"},
		{"endless recursion", "local f(x) = f(x + 1); f(0)", "DIR/main.jsonnet:1:14: max stack frames exceeded.\n\tfrom DIR/main.jsonnet:1:24 ($)"},
		{"endless document", "local a = { b: a }; a", "DIR/main.jsonnet: max stack frames exceeded."},
		{"external variable", "std.extVar('x')", "DIR/main.jsonnet:1:1: Undefined external variable: x; give it a value, as a string (ext-str) or as code (ext-code)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := testfile.Tree(t, map[string]string{"main.jsonnet": test.source, "bad": "{ a", "lib": "{ x: import 'gone' }"})
			_, err := jsonnet.New().Evaluate(context.Background(), provenance.Request{File: filepath.Join(dir, "main.jsonnet")})
			var jsonnetError *provenance.Error
			if !errors.As(err, &jsonnetError) {
				t.Fatalf("the error is %T: %v", err, err)
			}
			if want := strings.ReplaceAll(test.want, "DIR", dir); err.Error() != want {
				t.Errorf("the error is\n%v\nwant\n%s", err, want)
			}
		})
	}
}

func TestEvaluateMissingDocument(t *testing.T) {
	dir := testfile.Tree(t, nil)
	_, err := jsonnet.New().Evaluate(context.Background(), provenance.Request{File: filepath.Join(dir, "main.jsonnet")})
	if err == nil || !strings.Contains(err.Error(), "main.jsonnet: the document cannot be read: no such file or directory") {
		t.Errorf("the error is %v", err)
	}
	if _, err := jsonnet.New().Evaluate(context.Background(), provenance.Request{File: "main.jsonnet"}); err == nil {
		t.Error("a relative path was taken")
	}
}

// TestEvaluateStops interrupts an evaluation that would take for ever.
func TestEvaluateStops(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{"main.jsonnet": `local f(n) = if n == 0 then 0 else f(n - 1) + f(n - 1); f(60)`})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := jsonnet.New().Evaluate(ctx, provenance.Request{File: filepath.Join(dir, "main.jsonnet")})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}
