package testfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Sources has a test that runs programs of this module ("cmd/rtbuild"), and does not
// import what they are made of, run again when that changes: what a test has looked at
// counts for Go's cache of results, and this looks at the folders of their packages.
func Sources(t testing.TB, programs ...string) {
	t.Helper()
	args := []string{"list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}} {{.GoMod}}{{end}}{{end}}"}
	for _, program := range programs {
		args = append(args, "github.com/rtbuild/rtbuild/"+program)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("listing what %s are made of: %v", strings.Join(programs, " and "), err)
	}
	for line := range strings.Lines(string(out)) {
		dir, mod, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(mod), "go.sum")); err != nil {
			t.Fatal(err)
		}
	}
}
