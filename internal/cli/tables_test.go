package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/cli"
)

// TestTables holds the tables of versions in the README and in those of the runtimes
// equal to what rtbuild list says of this tree.
func TestTables(t *testing.T) {
	const root = "../.."
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"-C", root, "list", "--output", "json"}, cli.Streams{Out: &out, Err: &errs}, func(string) (string, bool) { return "", false }); code != 0 {
		t.Fatalf("rtbuild list: exit code %d: %s", code, &errs)
	}
	var images []struct{ Runtime, Version, Phase, Image, File, EOL string }
	if err := json.Unmarshal(out.Bytes(), &images); err != nil {
		t.Fatal(err)
	}
	versions, rows := map[string][]string{}, map[string][]string{}
	folders := map[string]string{}
	for _, image := range images {
		name, _, _ := strings.Cut(image.Image, "@")
		if image.Phase != "runtime" {
			continue
		}
		file, err := filepath.Abs(filepath.Join(root, image.File))
		if err != nil {
			t.Fatal(err)
		}
		folders[image.Runtime] = filepath.Dir(file)
		versions[image.Runtime] = append(versions[image.Runtime], image.Version)
		rows[image.Runtime] = append(rows[image.Runtime], strings.TrimSpace(image.Runtime+image.Version+" "+name+" "+image.EOL))
	}
	if len(folders) == 0 {
		t.Fatal("rtbuild list names no runtime images")
	}
	readme := read(t, filepath.Join(root, "README.md"))
	date := regexp.MustCompile(`\| (\d{4}-\d\d-\d\d) \|$`)
	for id, folder := range folders {
		row := regexp.MustCompile("(?m)^\\| \\[`" + id + "`\\]\\([^)]*/README.md\\) \\| ([^|]*) \\|")
		if found := row.FindStringSubmatch(readme); found == nil || found[1] != strings.Join(versions[id], ", ") {
			t.Errorf("README.md: the row of %s is %q, want versions %q", id, found, versions[id])
		}
		var documented []string
		for _, line := range regexp.MustCompile("(?m)^\\| `"+id+"[0-9.]+` \\|.*$").FindAllString(read(t, filepath.Join(folder, "README.md")), -1) {
			cells := strings.Split(line, " | ")
			end := ""
			if found := date.FindStringSubmatch(line); found != nil {
				end = found[1]
			}
			documented = append(documented, strings.TrimSpace(strings.Trim(cells[0], "| `")+" "+strings.Trim(cells[1], "`")+" "+end))
		}
		if !slices.Equal(documented, rows[id]) {
			t.Errorf("%s/README.md has the rows\n%s\nwant\n%s", id, strings.Join(documented, "\n"), strings.Join(rows[id], "\n"))
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
