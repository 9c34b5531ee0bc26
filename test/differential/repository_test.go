package differential

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

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
// What the image tool runs is busybox.
func parents(busybox string) map[string]tree {
	text := func(content string) entry { return entry{kind: file, mode: 0o644, content: content} }
	program := entry{kind: file, mode: 0o755, content: busybox}
	return map[string]tree{
		"envs":    {"Dockerfile": text("FROM scratch\nENV FROM_PARENT=conf ENDING=txt\nCOPY p.txt /parent/\n"), "p.txt": text(parentToken)},
		"onbuild": {"Dockerfile": text("FROM scratch\nONBUILD ARG HIDDEN=conf\nONBUILD COPY $HIDDEN /onbuild/\nONBUILD COPY src/*.txt /onbuild/src/\n")},
		"onarch":  {"Dockerfile": text("FROM scratch\nONBUILD ARG BUILDARCH\nONBUILD COPY bin/$BUILDARCH/tool /on/\n")},
		"tool":    {"Dockerfile": text("FROM scratch\nCOPY busybox /bin/\nCOPY busybox /bin/sh\n"), "busybox": program},
	}
}

// parentImages writes the parents below a root, as support images of a
// namespace.
func parentImages(tb testing.TB, root, namespace, busybox string) {
	tb.Helper()
	var settings strings.Builder
	settings.WriteString("images:\n")
	for name, files := range parents(busybox) {
		files.write(tb, filepath.Join(root, "parents", name), 0)
		fmt.Fprintf(&settings, "  - {name: %s, folder: parents/%s, repository: %s/%s}\n", name, name, namespace, name)
	}
	harness.Write(tb, filepath.Join(root, "rtbuild.yaml"), settings.String())
}

func (r *repository) folder(name string) string { return filepath.Join(r.root, "cases", name) }

// write writes the targets' files and the manifest that names them.
func (r *repository) write(tb testing.TB, targets []built, mask fs.FileMode) {
	tb.Helper()
	var versions []map[string]any
	for i, b := range targets {
		b.files.write(tb, r.folder(b.name), mask)
		if err := os.MkdirAll(filepath.Join(r.folder(b.name), b.c.root), 0o755); err != nil { // all in it may be gone
			tb.Fatal(err)
		}
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
	harness.Write(tb, filepath.Join(r.root, "stable/all/all.jsonnet"), strings.ReplaceAll(string(encoded), `"build": {`, `"build":: {`))
	harness.Write(tb, filepath.Join(r.root, "runtimes.jsonnet"), "[import 'stable/all/all.jsonnet']\n")
}
