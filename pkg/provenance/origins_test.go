package provenance_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// origins are those of the document in a file.
func origins(t *testing.T, ev provenance.Evaluator, file string) (map[string]provenance.Position, error) {
	t.Helper()
	doc, err := provenance.Load(t.Context(), ev, file)
	if err != nil {
		return nil, err
	}
	return doc.Origins(t.Context())
}

func TestOrigins(t *testing.T) {
	for _, test := range []struct {
		name, source string
		want         map[string]string
	}{
		{"literals", "[\n  { name: 'a',\r\n\t'b': \"b\" }]", map[string]string{"/0/name": "main:2:11", "/0/b": "main:3:7"}},
		{"imports", `{ a: (import 'lib').x, b: (import 'lib').y }`, map[string]string{"/a": "lib:1:6", "/b": "lib:2:6"}},
		{"late binding", `{ a: self.r, r:: 'x' } + { r:: 'x' }`, map[string]string{"/a": "main:1:32"}},
		{"the longest of several", `['python' + ':' + '3.13', '%s:%s' % ['python', '3.13'], 'kubeless/%s' % 'python']`,
			map[string]string{"/0": "main:1:2", "/1": "main:1:38", "/2": "main:1:57"}},
		{"numbers and text blocks have none", "{ a: 1, b: |||\n  text\n|||, c: 'c' }", map[string]string{"/c": "main:3:9"}},
		{"computed ones have none", `{ a: std.sha256('a'), b: std.toString(1), c: 'c' }`, map[string]string{"/c": "main:1:46"}},
		{"compared literals do not hide others",
			`local kind = 'b'; { a: if kind == 'b' then 'yes' else 'no', n: std.length('four'), x: kind, y: std.asciiUpper('y'), z: 'z' }`,
			map[string]string{"/a": "main:1:44", "/z": "main:1:120"}},
		{"names are no values", `{ ['a' + 'b']: 'c', 'a': { 'a/b~': 'd' }.x, }.ab`, map[string]string{"": "main:1:16"}},
		{"keys with escapes", `{ 'a/b~': 'd' }`, map[string]string{"/a~1b~0": "main:1:11"}},
		{"an assertion", `{ assert self.a == 'x', a: 'x', b: 'y' }`, map[string]string{"/b": "main:1:36"}},
		{"split", `std.split('a,b', ',')`, map[string]string{"/1": "main:1:11"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := testfile.Tree(t, map[string]string{"main": test.source, "lib": "{ x: 'a',\n  y: 'a' }"})
			places, err := origins(t, jsonnet.New(), filepath.Join(dir, "main"))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for pointer, position := range places {
				got[pointer] = strings.TrimPrefix(position.String(), dir+"/")
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("the origins are %v, want %v", got, test.want)
			}
		})
	}
}

// counting counts evaluations.
type counting struct {
	provenance.Evaluator
	evaluations int
}

func (c *counting) Evaluate(ctx context.Context, req provenance.Request) (provenance.Result, error) {
	c.evaluations++
	return c.Evaluator.Evaluate(ctx, req)
}

// TestOriginsGivesUp holds the effort on a document that depends on all its
// literals within bounds.
func TestOriginsGivesUp(t *testing.T) {
	var source strings.Builder
	source.WriteString("{ known: 'known' }")
	for i := range 100 {
		fmt.Fprintf(&source, " + { n%d: std.length('x%d') }", i, i)
	}
	dir := testfile.Tree(t, map[string]string{"main": source.String()})
	ev := &counting{Evaluator: jsonnet.New()}
	places, err := origins(t, ev, filepath.Join(dir, "main"))
	if err != nil {
		t.Fatal(err)
	}
	if ev.evaluations > 70 {
		t.Errorf("%d evaluations", ev.evaluations)
	}
	if len(places) > 1 {
		t.Errorf("the origins are %v", places)
	}
}

func TestOriginsErrors(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{"main": "error 'no'"})
	_, err := origins(t, jsonnet.New(), filepath.Join(dir, "main"))
	if err == nil || !strings.Contains(err.Error(), "main:1:1: no") {
		t.Errorf("the error is %v", err)
	}
}
