//go:build e2e

package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var binary string // the rtbuild under test

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rtbuild-differential-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rtbuild")
	build := exec.Command("go", "build", "-o", binary, "github.com/rtbuild/rtbuild/cmd/rtbuild")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building rtbuild: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// shell is a busybox that needs no libraries.
func shell(tb testing.TB) string {
	tb.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		tb.Fatalf("%v: install Debian's busybox-static", err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		tb.Fatal(err)
	}
	return string(program)
}

// newRepository is a tree without cases, whose registry has the mirror's images.
func newRepository(tb testing.TB, mirror string, platforms ...string) *repository {
	tb.Helper()
	r := &repository{root: tb.TempDir(), platforms: platforms}
	parentImages(tb, r.root, "acme", shell(tb))
	if err := os.CopyFS(filepath.Join(r.root, ".rtbuild/registry/docker"), os.DirFS(filepath.Join(mirror, ".rtbuild/registry/docker"))); err != nil {
		tb.Fatal(err)
	}
	return r
}

// newMirror is a tree that has released the parents into a mirror of Docker Hub.
func newMirror(tb testing.TB, platforms ...string) string {
	tb.Helper()
	r := &repository{root: tb.TempDir(), platforms: platforms}
	parentImages(tb, r.root, "ext", shell(tb))
	write(tb, filepath.Join(r.root, "runtimes.jsonnet"), "[]\n")
	if out, err := r.rtbuild("build", "--push", "--registry", "local/mirror", "--builder", "embedded"); err != nil {
		tb.Fatalf("releasing the parents: %v\n%s", err, out.stderr)
	}
	return r.root
}

type output struct{ stdout, stderr []byte }

// rtbuild runs a command in the tree.
func (r *repository) rtbuild(args ...string) (output, error) {
	for _, platform := range r.platforms {
		args = append(args, "--platform", platform)
	}
	cmd := exec.Command(binary, append([]string{"-C", r.root}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return output{stdout.Bytes(), stderr.Bytes()}, err
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
	out, err := r.rtbuild("build", "--push", "--registry", "local", "--builder", "embedded", "--mirror", "docker.io=local/mirror", "--quiet", "--report", report)
	content, readErr := os.ReadFile(report)
	if readErr != nil {
		tb.Fatalf("no report: %v\n%s", err, out.stderr)
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
			tb.Fatalf("%s is not in the report; %v\n%s", b.name, err, out.stderr)
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
	out, explainErr := r.rtbuild(args...)
	var read []explanation
	if err := json.Unmarshal(out.stdout, &read); err != nil {
		tb.Fatalf("explain: %v, %v\n%s", err, explainErr, out.stderr)
	}
	explanations := map[string]explanation{}
	for _, e := range read {
		_, version, _ := strings.Cut(e.Target, ":")
		explanations[version] = e
	}
	return explanations
}
