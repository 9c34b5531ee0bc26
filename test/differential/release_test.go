//go:build e2e

package differential

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// newRepository is a tree without cases, whose registry has the mirror's images.
func newRepository(tb testing.TB, mirror string, platforms ...string) *repository {
	tb.Helper()
	r := &repository{root: tb.TempDir(), platforms: platforms}
	parentImages(tb, r.root, "acme", string(harness.Busybox(tb)))
	if err := os.CopyFS(filepath.Join(r.root, ".rtbuild/registry/docker"), os.DirFS(filepath.Join(mirror, ".rtbuild/registry/docker"))); err != nil {
		tb.Fatal(err)
	}
	return r
}

// newMirror is a tree that has released the parents into a mirror of Docker Hub.
func newMirror(tb testing.TB, platforms ...string) string {
	tb.Helper()
	r := &repository{root: tb.TempDir(), platforms: platforms}
	parentImages(tb, r.root, "ext", string(harness.Busybox(tb)))
	harness.Write(tb, filepath.Join(r.root, "runtimes.jsonnet"), "[]\n")
	if out := r.rtbuild(tb, "build", "--push", "--registry", "local/mirror", "--builder", "embedded"); out.Code != 0 {
		tb.Fatalf("releasing the parents: exit code %d\n%s", out.Code, out.Stderr)
	}
	return r.root
}

// rtbuild runs a command in the tree.
func (r *repository) rtbuild(tb testing.TB, args ...string) harness.Result {
	tb.Helper()
	for _, platform := range r.platforms {
		args = append(args, "--platform", platform)
	}
	return harness.Run(tb, r.root, args...)
}

// An outcome is what became of a target.
type outcome struct {
	Dockerfile, Status, Fingerprint, Digest, Error string
}

// release builds and pushes all targets, and gives outcomes by the targets'
// names. A failure of some is none of the whole.
func (r *repository) release(tb testing.TB, targets []built) map[string]outcome {
	tb.Helper()
	report := filepath.Join(tb.TempDir(), "report.json")
	out := r.rtbuild(tb, "build", "--push", "--registry", "local", "--builder", "embedded", "--mirror", "docker.io=local/mirror", "--quiet", "--report", report)
	content, err := os.ReadFile(report)
	if err != nil {
		tb.Fatalf("exit code %d, and no report: %v\n%s", out.Code, err, out.Stderr)
	}
	var read struct{ Targets []outcome }
	if err := json.Unmarshal(content, &read); err != nil {
		tb.Fatal(err)
	}
	outcomes := map[string]outcome{}
	for _, o := range read.Targets {
		if name, ok := strings.CutPrefix(o.Dockerfile, "cases/"); ok {
			name, _, _ = strings.Cut(name, "/")
			outcomes[name] = o
		}
	}
	for _, b := range targets {
		if outcomes[b.name].Status == "" {
			tb.Fatalf("%s is not in the report; exit code %d\n%s", b.name, out.Code, out.Stderr)
		}
	}
	return outcomes
}

// An explanation is what rtbuild explain says of a target.
type explanation struct {
	Target, Fingerprint string
	Fresh               bool
	Reasons             []string
}

// explain asks for the targets of some cases. Those of which it cannot be told are
// not among the explanations.
func (r *repository) explain(tb testing.TB, trials []*trial) map[string]explanation {
	tb.Helper()
	if len(trials) == 0 {
		return nil
	}
	args := []string{"explain", "--output", "json", "--registry", "local", "--mirror", "docker.io=local/mirror"}
	for _, tr := range trials {
		args = append(args, "all:"+tr.c.name)
	}
	out := r.rtbuild(tb, args...)
	var read []explanation
	if err := json.Unmarshal([]byte(out.Stdout), &read); err != nil {
		tb.Fatalf("explain: exit code %d, %v\n%s", out.Code, err, out.Stderr)
	}
	explanations := map[string]explanation{}
	for _, e := range read {
		_, version, _ := strings.Cut(e.Target, ":")
		explanations[version] = e
	}
	return explanations
}
