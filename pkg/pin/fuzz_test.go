package pin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// FuzzGenerated pins in documents that a grammar makes of the input: strings
// that are joined, cut, compared, formatted, inherited and shared in ways in
// which references and digests are. Compute may refuse; what it plans must be
// right.
func FuzzGenerated(f *testing.F) {
	f.Add([]byte("a seed"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22})
	f.Add([]byte("\xff\x10\x37\x00\x04\x90\xaa\x51\x22\x07\x68\xfe\x01\x13\x37\x42\x99\x00\x05\x06"))
	f.Fuzz(func(t *testing.T, input []byte) {
		g := &generator{input: input}
		neverSilentlyWrong(t, g.document(), g.next)
	})
}

// FuzzMutated pins in documents that are mutations of the corpus's.
func FuzzMutated(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "main.jsonnet" {
				f.Add(expand(string(file.Data)), uint64(0x5555))
			}
		}
	}
	f.Fuzz(func(t *testing.T, source string, choices uint64) {
		if costly.MatchString(source) {
			t.Skip("may take all memory")
		}
		neverSilentlyWrong(t, source, func() byte {
			choice := byte(choices)
			choices = choices>>3 | choices<<61
			return choice
		})
	})
}

// costly matches what makes much of little.
var costly = regexp.MustCompile(`repeat|range|makeArray|<<|[*%][^%]*[0-9]{4}|format`)

// neverSilentlyWrong pins some of the images in a document, chosen by next,
// to digests chosen by next.
func neverSilentlyWrong(t *testing.T, source string, next func() byte) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	entry := filepath.Join(dir, "main.jsonnet")
	writeFile(t, entry, source)
	doc, err := evaluate(entry)
	if err != nil {
		t.Skip("not Jsonnet")
	}
	var pointers []string
	for pointer := range doc {
		pointers = append(pointers, pointer)
	}
	sort.Strings(pointers)
	var changes []pin.Change
	for _, pointer := range pointers {
		value, isString := strings.CutPrefix(doc[pointer], "=")
		ref, err := reference.Parse(value)
		if !isString || err != nil {
			continue
		}
		switch choice := next(); choice % 8 {
		case 0, 1:
		case 2:
			if ref.Digest != "" {
				changes = append(changes, pin.Change{Pointer: pointer, Digest: ref.Digest})
			}
		case 3, 4, 5:
			changes = append(changes, pin.Change{Pointer: pointer, Digest: expand("sha256:<7>")})
		default:
			changes = append(changes, pin.Change{Pointer: pointer, Digest: fmt.Sprintf("sha256:%064x", len(changes))})
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	plan, err := pin.Compute(ctx, jsonnet.New(), dir, entry, changes)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Skip("too slow")
	}
	if err != nil {
		return
	}
	checkInvariant(t, dir, entry, changes, plan, writePlainly)
	if t.Failed() {
		t.Logf("the document was\n%s\nthe changes %v", source, changes)
	}
}

// writePlainly is Plan.Write without what makes that safe, and slow.
func writePlainly(plan *pin.Patch) error {
	for _, file := range plan.Files {
		if err := os.WriteFile(file.Path, file.New, file.Mode); err != nil {
			return err
		}
	}
	return nil
}

// A generator makes a Jsonnet document of bytes. When the bytes are used up it
// makes the simplest choices.
type generator struct {
	input  []byte
	locals int
}

func (g *generator) next() byte {
	if len(g.input) == 0 {
		return 0
	}
	b := g.input[0]
	g.input = g.input[1:]
	return b
}

func (g *generator) pick(options ...string) string {
	return options[int(g.next())%len(options)]
}

func (g *generator) document() string {
	var b strings.Builder
	for n := int(g.next()) % 4; n > 0; n-- {
		fmt.Fprintf(&b, "local v%d = %s;\n", g.locals, g.text(2))
		g.locals++
	}
	b.WriteString(g.object("f"))
	for n := int(g.next()) % 3; n > 0; n-- {
		b.WriteString(" + " + g.object(g.pick("f", "g")))
	}
	return b.String()
}

func (g *generator) object(name string) string {
	var b strings.Builder
	b.WriteString("{\n")
	for i := range int(g.next())%4 + 1 {
		hide := g.pick(":", ":", ":", "::", ":::")
		fmt.Fprintf(&b, "  %s%d%s %s,\n", name, i, hide, g.text(3))
	}
	switch g.next() % 8 {
	case 1:
		fmt.Fprintf(&b, "  assert %s : 'no',\n", g.condition(1))
	case 2:
		fmt.Fprintf(&b, "  [%s]: %s,\n", g.text(1), g.text(1))
	case 3:
		fmt.Fprintf(&b, "  list: [%s + x for x in [%s, %s]],\n", g.text(1), g.text(1), g.text(1))
	case 4:
		fmt.Fprintf(&b, "  sorted: std.sort([%s, %s]),\n", g.text(1), g.text(1))
	case 5:
		fmt.Fprintf(&b, "  size: std.length(%s),\n", g.text(1))
	}
	b.WriteString("}")
	return b.String()
}

func (g *generator) atom() string {
	quote := g.pick(`"`, `'`)
	at := g.pick("", "", "", "@")
	return at + quote + expand(g.pick(
		"acme/x", "acme/x@sha256:<a>", "acme/x:1@sha256:<a>", "acme/y@sha256:<b>", ":1.0", "1.0",
		"acme/x@sha256:", "<a>", "<b>", "@sha256:<a>", "acme/%s", "acme/x:<a>", "<a:32>", "<A>", "%s", "", "a",
	)) + quote
}

func (g *generator) text(depth int) string {
	if depth == 0 {
		return g.atom()
	}
	sub := func() string { return g.text(depth - 1) }
	switch g.next() % 20 {
	case 1:
		return "(" + sub() + " + " + sub() + ")"
	case 2:
		return fmt.Sprintf("(if %s then %s else %s)", g.condition(depth-1), sub(), sub())
	case 3:
		return fmt.Sprintf("(%s %% [%s])", g.pick(`"%s"`, `"acme/x:%s"`, `"acme/x@sha256:%s"`), sub())
	case 4:
		return "std.asciiLower(" + sub() + ")"
	case 5:
		return fmt.Sprintf("(local w = %s; w + %s)", sub(), g.pick("w", `""`, `":2"`, g.atom()))
	case 6:
		return fmt.Sprintf("(function(x=%s) x)(%s)", sub(), g.pick("", g.atom()))
	case 7:
		return fmt.Sprintf("std.strReplace(%s, %s, %s)", sub(), g.atom(), g.atom())
	case 8:
		return fmt.Sprintf("std.substr(%s, %d, %d)", sub(), g.next()%20, int(g.next()%100))
	case 9:
		return fmt.Sprintf("std.split(%s, '@')[0]", sub())
	case 10:
		return fmt.Sprintf("std.join(%s, [%s, %s])", g.pick("''", "':'", "'@sha256:'"), sub(), sub())
	case 11:
		return "std.sha256(" + sub() + ")"
	case 12, 13:
		if g.locals > 0 {
			return fmt.Sprintf("v%d", int(g.next())%g.locals)
		}
	case 14:
		return g.pick("self", "$") + "." + g.pick("f0", "f1", "f2", "g0")
	case 15:
		return fmt.Sprintf("(if 'f0' in super then super.f0 else %s)", g.atom())
	case 16:
		return fmt.Sprintf("{ r: self.s, s:: %s }.r", sub())
	case 17:
		return fmt.Sprintf("({ r: self.s, s:: %s } + { s:: %s }).r", sub(), sub())
	case 18:
		return fmt.Sprintf("std.stripChars(|||\n  %s\n|||, '\\n')", strings.Trim(g.atom(), `'"@`))
	}
	return g.atom()
}

func (g *generator) condition(depth int) string {
	return fmt.Sprintf(g.pick("%s == %s", "%s != %s", "%s < %s", "std.length(%s) > std.length(%s)", "std.startsWith(%s, %s)", "std.endsWith(%s, %s)"),
		g.text(depth), g.text(depth))
}
