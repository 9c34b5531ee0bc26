package docs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/cli"
)

// A listed is one line of rtbuild list.
type listed struct {
	Runtime, Version, Phase, Image, File, EOL string
}

// list is what rtbuild list prints of this tree.
func list(t *testing.T) []listed {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := cli.Run(t.Context(), []string{"-C", "..", "list", "--output", "json"}, cli.Streams{Out: &stdout, Err: &stderr}, func(string) (string, bool) { return "", false }); code != 0 {
		t.Fatalf("rtbuild list: exit %d\n%s", code, stderr.String())
	}
	var lines []listed
	if err := json.Unmarshal(stdout.Bytes(), &lines); err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		lines[i].Image, _, _ = strings.Cut(line.Image, "@")
	}
	return lines
}

// tableOf are the rows of a page's first table that has this column, as cells by the
// heads of their columns.
func tableOf(t *testing.T, page, column string) []map[string]string {
	t.Helper()
	source, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	cells := func(line string) []string {
		parts := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i, part := range parts {
			parts[i] = strings.Trim(strings.TrimSpace(part), "`")
		}
		return parts
	}
	var head []string
	var rows []map[string]string
	for line := range strings.Lines(string(source)) {
		isRow := strings.HasPrefix(line, "|")
		switch {
		case head == nil && isRow && slices.Contains(cells(line), column):
			head = cells(line)
		case head != nil && !isRow:
			return rows
		case head != nil && !strings.HasPrefix(line, "|---"):
			row := map[string]string{}
			for i, cell := range cells(line) {
				row[head[i]] = cell
			}
			rows = append(rows, row)
		}
	}
	t.Fatalf("%s has no table with the column %q", page, column)
	return nil
}

// The table of each runtime's page has the versions that users can type, their
// images, and the end of their support, as the manifest says.
func TestRuntimesPages(t *testing.T) {
	versions := map[string][]string{}
	want := map[string]map[string]map[string]string{} // by page and what users type
	for _, line := range list(t) {
		page := filepath.Join("..", filepath.Dir(line.File), "README.md")
		if want[page] == nil {
			want[page] = map[string]map[string]string{}
		}
		typed := line.Runtime + line.Version
		if want[page][typed] == nil {
			want[page][typed] = map[string]string{"eol": line.EOL}
			versions[line.Runtime] = append(versions[line.Runtime], line.Version)
		}
		want[page][typed][line.Phase] = line.Image
	}
	if len(want) < 8 {
		t.Fatalf("rtbuild list has %d folders of runtimes", len(want))
	}
	for page, runtimes := range want {
		rows := tableOf(t, page, "users type")
		if len(rows) != len(runtimes) {
			t.Errorf("%s has %d versions, the manifests %d", page, len(rows), len(runtimes))
		}
		for _, row := range rows {
			runtime := runtimes[row["users type"]]
			if row["image"] != runtime["runtime"] {
				t.Errorf("%s: the image of %s is %q, the manifest's %q", page, row["users type"], row["image"], runtime["runtime"])
			}
			if row["end of life"] != runtime["eol"] {
				t.Errorf("%s: the end of life of %s is %q, the manifest's %q", page, row["users type"], row["end of life"], runtime["eol"])
			}
			for head, phase := range map[string]string{"installs dependencies": "installation", "installs dependencies, compiles": "installation", "compiles": "compilation"} {
				if image, ok := row[head]; ok && image != runtime[phase] {
					t.Errorf("%s: for %s %s %q, in the manifest %q", page, row["users type"], head, image, runtime[phase])
				}
			}
		}
	}

	name := regexp.MustCompile("^\\[`(.+)`\\]")
	front := map[string]string{}
	for _, row := range tableOf(t, "../README.md", "runtime") {
		if match := name.FindStringSubmatch(row["runtime"]); match != nil {
			front[match[1]] = row["versions"]
		}
	}
	for runtime, numbers := range versions {
		if got, want := front[runtime], strings.Join(numbers, ", "); got != want {
			t.Errorf("README.md has %s of %s, the manifests %s", got, runtime, want)
		}
		delete(front, runtime)
	}
	if len(front) > 0 {
		t.Errorf("README.md has runtimes that are in no manifest: %s", fmt.Sprint(front))
	}
}
