//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// An action is what of a composite action this repository's has.
type action struct {
	Name, Description string
	Branding          map[string]string
	Inputs            map[string]struct{ Description, Default string }
	Outputs           map[string]struct{ Description, Value string }
	Runs              struct {
		Using string
		Steps []workflowStep
	}
}

// The action puts a release into PATH if its checksum holds, and nothing else.
func TestInstallAction(t *testing.T) {
	dir := t.TempDir()
	harness.Write(t, filepath.Join(dir, "rtbuild"), "#!/bin/sh\nexec \"$0-full\" \"$@\"\n")
	harness.Write(t, filepath.Join(dir, "rtbuild-full"), "#!/bin/sh\necho rtbuild v1.2.3\n")
	archive := fmt.Sprintf("rtbuild_linux_%s.tar.gz", runtime.GOARCH)
	if out, err := exec.Command("sh", "-c", "chmod +x "+dir+"/rtbuild* && tar -czf "+dir+"/"+archive+" -C "+dir+" rtbuild rtbuild-full").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content := harness.Read(t, filepath.Join(dir, archive))
	sums := map[string]string{
		"v1.2.3": fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(content)), archive),
		"wrong":  fmt.Sprintf("%x  %s\n", sha256.Sum256(nil), archive),
		"lacks":  fmt.Sprintf("%x  other.tar.gz\n", sha256.Sum256([]byte(content))),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Replace(r.URL.Path, "/latest/download/", "/download/v1.2.3/", 1)
		parts := strings.Split(strings.TrimPrefix(path, "/download/"), "/")
		sum, known := sums[parts[0]]
		switch {
		case known && parts[1] == "checksums.txt":
			fmt.Fprint(w, sum)
		case known && parts[1] == archive:
			fmt.Fprint(w, content)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	var a action
	readYAML(t, "../../action.yml", &a)
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for version, installed := range map[string]bool{"source": true, "v1.2.3": true, "latest": true, "wrong": false, "lacks": false, "v0.0.0": false} {
		t.Run(version, func(t *testing.T) {
			ran := &workflowRun{t: t, dir: t.TempDir(), status: map[string]string{}, outputs: map[string]map[string]any{}}
			ran.env = []string{"GITHUB_ACTION_PATH=" + here, "GOCACHE=" + goEnv(t, "GOCACHE"), "GOMODCACHE=" + goEnv(t, "GOMODCACHE")}
			m := ran.machine("install")
			m.dir = t.TempDir()
			m.contexts["inputs"] = map[string]any{"version": version, "releases": server.URL}
			job := workflowJob{Steps: a.Runs.Steps, Outputs: map[string]string{"version": a.Outputs["version"].Value}}
			if got := m.run("install", job); got != installed {
				t.Errorf("installed: %v, want %v\n%s", got, installed, ran.log.String())
			}
			if printed := text(ran.outputs["install"]["version"]); installed && !strings.HasPrefix(printed, "rtbuild v") && !strings.HasPrefix(printed, "rtbuild devel") {
				t.Errorf("the version is %q", printed)
			}
		})
	}
}

// goEnv is where Go keeps something, which follows from HOME by default.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
