package imports_test

import (
	"bytes"
	"os/exec"
	"testing"
)

// screen is how many lines the documentation of a package may take.
const screen = 50

// TestDocumentationFitsAScreen wants nobody to scroll to see what a package is: one
// that has more to show is several.
func TestDocumentationFitsAScreen(t *testing.T) {
	for path := range list(t) {
		if !under(path, module+"/pkg") && !under(path, module+"/internal") {
			continue
		}
		out, err := exec.Command("go", "doc", path).CombinedOutput()
		if err != nil {
			// Packages of tests alone have none.
			if !bytes.Contains(out, []byte("no buildable Go source files")) && !bytes.Contains(out, []byte("build constraints exclude")) {
				t.Errorf("go doc %s: %v\n%s", path, err, out)
			}
			continue
		}
		if lines := bytes.Count(out, []byte("\n")); lines > screen {
			t.Errorf("go doc %s has %d lines, more than %d", path, lines, screen)
		}
	}
}
