package jsonnet_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

func TestLiterals(t *testing.T) {
	for _, test := range []struct {
		name, source string
		want         []string
	}{
		{"kinds of quotes", `["a", 'b', @"c""d\", @'e''f']`, []string{"a", "b", `c"d\`, "e'f"}},
		{"escapes", `["\"\\\u00e9\ud83d\ude00\n", 'it\'s']`, []string{"\"\\é😀\n", "it's"}},
		{"empty", `["", @""]`, []string{"", ""}},
		{"letters of several bytes", "/* Größe 😀 */ ['漢字', 'b']", []string{"漢字", "b"}},
		{"several lines", "[\r\n  'a\r\nb',\r\n  'c']\r\n", []string{"a\nb", "c"}},
		{"a byte order mark", "\ufeff['a',\n'b']", []string{"a", "b"}},
		{"no text blocks", "[|||\n  text\n|||, 'a']", []string{"a"}},
		{"no field names", `{ "a": "1", 'b'():: "2", ["c"]: "3", [("d")]: "4", ["e" + x]: "5", local x = "6" }`, []string{"1", "2", "3", "4", "e", "5", "6"}},
		{"no imports", `[import "a", importstr "b", importbin "c", "d"]`, []string{"d"}},
		{"no indexes", `[o["a"], o[("b")], super["c"], "d" in o, "e" in super, "f".g, "h"[0], o["i" + j]]`, []string{"f", "h", "i"}},
		{"functions", `local f(a="1", b="2") = "3"; { m(c="4"): function(d="5") "6", local n(e="7") = "8" } { x: f("9", b="10") }`,
			[]string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}},
		{"comprehensions", `["a" for b in ["c"] if b == "d" for e in "f"] + std.objectFields({ [g]: "h" for g in ["i"] if "j" != g })`,
			[]string{"a", "c", "d", "f", "h", "i", "j"}},
		{"assertions", `assert "a" != "b" : "c"; { assert "d" != "e" : "f" }`, []string{"a", "b", "c", "d", "e", "f"}},
		{"the rest", `if !("a" == "b") then error "c" else ("d" + "e")["f"[0]:"g":"h"]`, []string{"a", "b", "c", "d", "e", "f", "g", "h"}},
		{"the end of the file", `'a'`, []string{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := []byte(test.source)
			literals, err := jsonnet.New().Literals("x.jsonnet", source)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, literal := range literals {
				got = append(got, literal.Value)
				checkLiteral(t, source, literal)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("the literals are %q, want %q", got, test.want)
			}
		})
	}
}

// checkLiteral checks the offsets of a literal by means of the literal alone
// and with text appended.
func checkLiteral(t *testing.T, source []byte, literal provenance.Literal) {
	t.Helper()
	ev := jsonnet.New()
	text := source[literal.Start:literal.End]
	alone, err := ev.Literals("x.jsonnet", text)
	if err != nil || len(alone) != 1 || alone[0].Value != literal.Value || alone[0].End != len(text) {
		t.Errorf("%q at %d is %v (%v), not %q", text, literal.Start, alone, err, literal.Value)
	}
	appended := append([]byte(nil), source[literal.Start:literal.CloseQuote]...)
	appended = append(append(appended, "+x"...), source[literal.CloseQuote:literal.End]...)
	longer, err := ev.Literals("x.jsonnet", appended)
	if err != nil || len(longer) != 1 || longer[0].Value != literal.Value+"+x" {
		t.Errorf("%q with +x is %v (%v)", text, longer, err)
	}
	if line, column := provenance.Line(source, literal.Start); line != literal.Line || column != literal.Column {
		t.Errorf("%q is at %d:%d, not %d:%d", text, line, column, literal.Line, literal.Column)
	}
}

func TestLiteralsErrors(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{"[\n'a", "x.jsonnet:2:1"},
		{`["\x"]`, "x.jsonnet:1:2"},
		{"/*\n\xef\xbb\xbf", "x.jsonnet"},
	} {
		_, err := jsonnet.New().Literals("/x.jsonnet", []byte(test.source))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.source, err)
		}
	}
}

// FuzzLiterals holds the offsets of all literals of whatever parses to what
// checkLiteral checks.
func FuzzLiterals(f *testing.F) {
	f.Add([]byte(`{ a: "b\n", 'c': @'d''e', f: ["漢", "\u00e9"] }`))
	f.Add([]byte("[\r\n'a',\r\n|||\n  b\n|||, # 'c'\n'd']"))
	f.Fuzz(func(t *testing.T, source []byte) {
		literals, err := jsonnet.New().Literals("x.jsonnet", source)
		if err != nil || bytes.ContainsRune(source, '\uFFFD') {
			return
		}
		for _, literal := range literals {
			checkLiteral(t, source, literal)
		}
	})
}
