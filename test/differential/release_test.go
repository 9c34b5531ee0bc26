//go:build e2e

package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
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

// A built is one target: a case, or a variant of one, with its place.
type built struct {
	name  string // as repository and folder
	files tree
	c     *testCase
}

// A repository is a tree of many targets.
type repository struct {
	root      string
	platforms []string
}

// parentToken is what the file has that is copied from the parent envs.
const parentToken = "token:parent;\n"

// parents are images that cases are built from: those of the tree itself (acme)
// and, released before by another tree, those of a mirror of Docker Hub (ext).
func parents(tb testing.TB) map[string]tree {
	tb.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		tb.Fatalf("%v: install Debian's busybox-static", err)
	}
	shell, err := os.ReadFile(busybox)
	if err != nil {
		tb.Fatal(err)
	}
	text := func(content string) entry { return entry{kind: file, mode: 0o644, content: content} }
	program := entry{kind: file, mode: 0o755, content: string(shell)}
	return map[string]tree{
		"envs":    {"Dockerfile": text("FROM scratch\nENV FROM_PARENT=conf ENDING=txt\nCOPY p.txt /parent/\n"), "p.txt": text(parentToken)},
		"onbuild": {"Dockerfile": text("FROM scratch\nONBUILD ARG HIDDEN=conf\nONBUILD COPY $HIDDEN /onbuild/\nONBUILD COPY src/*.txt /onbuild/src/\n")},
		"tool":    {"Dockerfile": text("FROM scratch\nCOPY busybox /bin/\nCOPY busybox /bin/sh\n"), "busybox": program},
	}
}

// parentImages writes the parents below a root, as support images of a
// namespace.
func parentImages(tb testing.TB, root, namespace string, tool bool) {
	tb.Helper()
	var settings strings.Builder
	settings.WriteString("images:\n")
	for name, files := range parents(tb) {
		if name == "tool" && !tool {
			continue
		}
		files.write(tb, filepath.Join(root, "parents", name), 0)
		fmt.Fprintf(&settings, "  - {name: %s, folder: parents/%s, repository: %s/%s}\n", name, name, namespace, name)
	}
	write(tb, filepath.Join(root, "rtbuild.yaml"), settings.String())
}

// newRepository is a tree without cases, whose registry has the mirror's images.
func newRepository(tb testing.TB, mirror string, platforms ...string) *repository {
	tb.Helper()
	r := &repository{root: tb.TempDir(), platforms: platforms}
	parentImages(tb, r.root, "acme", len(platforms) < 2)
	if err := os.CopyFS(filepath.Join(r.root, ".rtbuild/registry/docker"), os.DirFS(filepath.Join(mirror, ".rtbuild/registry/docker"))); err != nil {
		tb.Fatal(err)
	}
	return r
}

// newMirror is a tree that has released the parents into a mirror of Docker Hub.
func newMirror(tb testing.TB, platforms ...string) string {
	tb.Helper()
	r := &repository{root: tb.TempDir(), platforms: platforms}
	parentImages(tb, r.root, "ext", len(platforms) < 2)
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

func (r *repository) folder(name string) string { return filepath.Join(r.root, "cases", name) }

// write writes the targets' files and the manifest that names them.
func (r *repository) write(tb testing.TB, targets []built, mask fs.FileMode) {
	tb.Helper()
	var versions []map[string]any
	for i, b := range targets {
		b.files.write(tb, r.folder(b.name), mask)
		// The runtime's folder is two levels below the root.
		place := "../../cases/" + b.name + "/"
		spec := map[string]any{"context": place + b.c.context, "dockerfile": place + b.c.dockerfile, "args": b.c.args}
		if b.c.stage != "" {
			spec["target"] = b.c.stage
		}
		versions = append(versions, map[string]any{
			"name": fmt.Sprint("v", i), "version": b.name,
			"images": []any{map[string]any{"phase": "runtime", "image": "acme/case-" + b.name + ":" + b.name, "build": spec}},
		})
	}
	encoded, err := json.MarshalIndent(map[string]any{"ID": "all", "fileNameSuffix": ".x", "versions": versions}, "", " ")
	if err != nil {
		tb.Fatal(err)
	}
	// Jsonnet is JSON with more; the field that says how to build is a hidden one.
	write(tb, filepath.Join(r.root, "stable/all/all.jsonnet"), strings.ReplaceAll(string(encoded), `"build": {`, `"build":: {`))
	write(tb, filepath.Join(r.root, "runtimes.jsonnet"), "[import 'stable/all/all.jsonnet']\n")
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
	Target  string
	Fresh   bool
	Reasons []string
}

// explain asks for the targets of some cases.
func (r *repository) explain(tb testing.TB, trials []*trial) map[string]explanation {
	tb.Helper()
	if len(trials) == 0 {
		return nil
	}
	args := []string{"explain", "--output", "json", "--registry", "local", "--mirror", "docker.io=local/mirror"}
	for _, tr := range trials {
		args = append(args, "all:"+tr.c.name)
	}
	out, err := r.rtbuild(args...)
	if err != nil {
		tb.Fatalf("explain: %v\n%s", err, out.stderr)
	}
	var read []explanation
	if err := json.Unmarshal(out.stdout, &read); err != nil {
		tb.Fatal(err)
	}
	explanations := map[string]explanation{}
	for _, e := range read {
		_, version, _ := strings.Cut(e.Target, ":")
		explanations[version] = e
	}
	return explanations
}

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}
