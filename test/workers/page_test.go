package workers

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// variable is the name of one that the cluster or the proxy sets.
	variable = regexp.MustCompile(`\b(?:(?:FUNC|KUBELESS)_[A-Z_]+|MOD_NAME)\b`)
	// apart are files of a runtime that are in none of its images.
	apart = regexp.MustCompile(`/(examples|contract|testdata)/|(_test\.go|\.test\.js|/test_[^/]*\.py|\.md|\.jsonnet|/Makefile)$`)
	image = regexp.MustCompile(`/Dockerfile[^/]*$`)
)

// How to write a worker names every variable that a worker of this tree reads.
func TestPageNamesVariables(t *testing.T) {
	page, err := os.ReadFile(absolute(t, "proxy/WORKERS.md"))
	if err != nil {
		t.Fatal(err)
	}
	root := absolute(t, ".")
	out, err := exec.Command("git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "stable", "incubator").Output()
	if err != nil {
		t.Skipf("this is no clone: %v", err)
	}
	read, own := map[string]string{}, ""
	for _, name := range strings.Fields(string(out)) {
		if apart.MatchString(name) {
			continue
		}
		path := filepath.Join(root, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue // deleted and not committed yet, or a link to another runtime's folder
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if image.MatchString(name) {
			own += string(source) // What an image sets for itself is no worker's to know.
			continue
		}
		for _, found := range variable.FindAllString(string(source), -1) {
			read[found] = name
		}
	}
	for _, name := range []string{"FUNC_SOCKET", "MOD_NAME", "KUBELESS_INSTALL_VOLUME"} {
		if read[name] == "" {
			t.Fatalf("no worker reads %s: this test proves nothing", name)
		}
	}
	named := variable.FindAllString(string(page), -1)
	for name, file := range read {
		if !slices.Contains(named, name) && !strings.Contains(own, name+"=") {
			t.Errorf("%s reads %s, which proxy/WORKERS.md does not name", file, name)
		}
	}
}
