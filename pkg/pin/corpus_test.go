package pin_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// TestCorpus runs testdata/*.txtar; testdata/README.md tells their form.
func TestCorpus(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 40 {
		t.Fatalf("only %d cases found", len(paths))
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runCase(t, readCase(t, path))
		})
	}
}

// A corpusCase is one file of the corpus.
type corpusCase struct {
	dir, root, entry string
	changes          []pin.Change
	refuse           []string
	want             map[string]string
}

var placeholder = regexp.MustCompile(`<([0-9a-fA-F])(?::([0-9]+))?>`)

// expand makes 64 (or N) digits of <d> (or <d:N>).
func expand(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(match string) string {
		parts := placeholder.FindStringSubmatch(match)
		count := 64
		if parts[2] != "" {
			count, _ = strconv.Atoi(parts[2]) // digits by the pattern
		}
		return strings.Repeat(parts[1], count)
	})
}

func readCase(t *testing.T, path string) corpusCase {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.TrimSpace(string(archive.Comment))) == 0 {
		t.Fatal("the case has no description")
	}
	// The temporary folder may itself lie behind a link.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := corpusCase{dir: dir, root: dir, entry: "main.jsonnet", want: map[string]string{}}
	crlf := map[string]bool{}
	var links [][2]string
	files := map[string]string{}
	for _, file := range archive.Files {
		text := expand(string(file.Data))
		lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
		switch file.Name {
		case "change":
			for _, line := range lines {
				pointer, digest, _ := strings.Cut(line, " ")
				c.changes = append(c.changes, pin.Change{Pointer: pointer, Digest: digest})
			}
		case "refuse":
			c.refuse = lines
		case "root":
			c.root = filepath.Join(dir, lines[0])
		case "entry":
			c.entry = lines[0]
		case "crlf":
			for _, line := range lines {
				crlf[line] = true
			}
		case "symlink":
			for _, line := range lines {
				name, target, _ := strings.Cut(line, " -> ")
				links = append(links, [2]string{name, target})
			}
		default:
			if name, ok := strings.CutPrefix(file.Name, "want/"); ok {
				c.want[name] = text
			} else {
				files[file.Name] = text
			}
		}
	}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), withEndings(text, crlf[name]))
	}
	for name, text := range c.want {
		c.want[name] = withEndings(text, crlf[name])
	}
	for _, link := range links {
		name := filepath.Join(dir, link[0])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(link[1], name); err != nil {
			t.Fatal(err)
		}
	}
	c.entry = filepath.Join(c.root, c.entry)
	return c
}

func withEndings(text string, crlf bool) string {
	if crlf {
		return strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func runCase(t *testing.T, c corpusCase) {
	ev := jsonnet.New()
	before := readTree(t, c.dir)
	plan, err := pin.Compute(context.Background(), ev, c.root, c.entry, c.changes)
	if after := readTree(t, c.dir); !reflect.DeepEqual(before, after) {
		t.Fatal("Compute changed the tree")
	}
	if len(c.refuse) > 0 {
		if err == nil {
			t.Fatalf("not refused; it would change:\n%s", plan.Diff(c.root))
		}
		for _, part := range c.refuse {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the refusal lacks %q:\n%v", part, err)
			}
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	checkInvariant(t, c.root, c.entry, c.changes, plan, (*pin.Patch).Write)
	after := readTree(t, c.dir)
	for name, want := range c.want {
		if after[name] != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, after[name], want)
		}
		delete(before, name)
		delete(after, name)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("other files changed:\n%s", plan.Diff(c.root))
	}
}

// readTree is the content of all regular files under dir, links not followed.
func readTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		tree[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

var (
	insertedDigest = regexp.MustCompile(`@sha256:[0-9a-f]{64}`)
	digestDigits   = regexp.MustCompile(`[0-9a-f]{64}`)
)

// masked is content with all digests taken out: what pinning must not change.
func masked(content []byte) string {
	return digestDigits.ReplaceAllString(insertedDigest.ReplaceAllString(string(content), ""), "…")
}

// checkInvariant writes the plan by write and checks, by means of its own, what every
// plan must hold to: the document is the old one with the wanted digests, and
// no byte outside of digests differs.
func checkInvariant(t testing.TB, root, entry string, changes []pin.Change, plan *pin.Patch, write func(*pin.Patch) error) {
	t.Helper()
	want := evaluateTree(t, entry)
	for _, change := range changes {
		setDigest(t, want, change)
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range plan.Files {
		if rel, err := filepath.Rel(root, file.Path); err != nil || strings.HasPrefix(rel, "..") {
			t.Errorf("%s is outside of the root", file.Path)
		}
		if masked(file.Old) != masked(file.New) {
			t.Errorf("more than digests changes:\n%s", plan.Diff(root))
		}
	}
	if !sort.SliceIsSorted(plan.Files, func(a, b int) bool { return plan.Files[a].Path < plan.Files[b].Path }) {
		t.Error("the files are not sorted")
	}
	if len(plan.Pins) != len(changes) {
		t.Errorf("%d pins for %d changes", len(plan.Pins), len(changes))
	}
	if err := write(plan); err != nil {
		t.Fatal(err)
	}
	if got := evaluateTree(t, entry); !reflect.DeepEqual(got, want) {
		t.Errorf("silently wrong: the document is\n%v\nwant\n%v\nafter\n%s", got, want, plan.Diff(root))
	}
}

// evaluateTree maps the pointer of every value in the document to its JSON;
// for arrays and objects, to what they are.
func evaluateTree(t testing.TB, entry string) map[string]string {
	t.Helper()
	result, err := evaluate(entry)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func evaluate(entry string) (map[string]string, error) {
	ctx := context.Background()
	result, err := jsonnet.New().Evaluate(ctx, provenance.Request{File: entry})
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(result.JSON, &value); err != nil {
		return nil, err
	}
	flat := map[string]string{}
	flatten(flat, "", value)
	return flat, nil
}

func flatten(flat map[string]string, pointer string, value any) {
	switch value := value.(type) {
	case map[string]any:
		flat[pointer] = "object"
		for key, member := range value {
			key = strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
			flatten(flat, pointer+"/"+key, member)
		}
	case []any:
		flat[pointer] = "array"
		for i, element := range value {
			flatten(flat, pointer+"/"+strconv.Itoa(i), element)
		}
	case string:
		flat[pointer] = "=" + value
	default:
		encoded, _ := json.Marshal(value) // numbers, booleans and null
		flat[pointer] = string(encoded)
	}
}

func setDigest(t testing.TB, doc map[string]string, change pin.Change) {
	t.Helper()
	ref, err := reference.Parse(strings.TrimPrefix(doc[change.Pointer], "="))
	if err != nil {
		t.Fatal(err)
	}
	doc[change.Pointer] = "=" + ref.WithDigest(change.Digest).String()
}
