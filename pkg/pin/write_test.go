package pin_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/pin"
)

// twoFiles is a tree of two files that a plan changes.
func twoFiles(t *testing.T, dir string, padding int) *pin.Patch {
	t.Helper()
	comment := "//" + strings.Repeat("x", padding) + "\n"
	writeFile(t, filepath.Join(dir, "main.jsonnet"), comment+expand("[import 'sub/lib.libsonnet', 'a/x@sha256:<a>']\n"))
	writeFile(t, filepath.Join(dir, "sub/lib.libsonnet"), comment+expand("'a/y'"))
	plan, err := pin.Compute(context.Background(), jsonnet.New(), dir, filepath.Join(dir, "main.jsonnet"), []pin.Change{
		{Pointer: "/0", Digest: expand("sha256:<b>")},
		{Pointer: "/1", Digest: expand("sha256:<c>")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Files) != 2 {
		t.Fatalf("the plan has %d files", len(plan.Files))
	}
	return plan
}

// writeFails checks that Write fails with a message that has all parts, and
// leaves the tree as it was.
func writeFails(t *testing.T, dir string, plan *pin.Patch, parts ...string) {
	t.Helper()
	before := readTree(t, dir)
	err := plan.Write()
	if err == nil {
		t.Fatal("written")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	if after := readTree(t, dir); !reflect.DeepEqual(before, after) {
		t.Errorf("the tree changed: %v\nwas %v", after, before)
	}
}

func TestWriteKeepsMode(t *testing.T) {
	dir := t.TempDir()
	plan := twoFiles(t, dir, 0)
	path := filepath.Join(dir, "main.jsonnet")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o640 {
		t.Errorf("the mode is %v", info.Mode())
	}
	tree := readTree(t, dir)
	if len(tree) != 2 || !strings.Contains(tree["sub/lib.libsonnet"], expand("'a/y@sha256:<b>'")) {
		t.Errorf("the tree is %v", tree)
	}
}

// Whether a mode keeps root from writing is the system's to say.
func TestWriteReadOnlyAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	plan := twoFiles(t, dir, 0)
	path := filepath.Join(dir, "sub", "lib.libsonnet")
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o444 {
		t.Errorf("the mode is %v (error %v)", info.Mode(), err)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		message []string
	}{
		{"a read-only file", testfile.Unwritable, []string{"sub/lib.libsonnet", "(mode -r--r--r--); make it writable"}},
		{"a file changed since", func(t *testing.T, path string) {
			writeFile(t, path, "'a/z'")
		}, []string{"sub/lib.libsonnet: the file has changed since it was read; run again"}},
		{"a file removed since", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, []string{"sub/lib.libsonnet", "no such file"}},
		{"a file that became a link", func(t *testing.T, path string) {
			if err := os.Rename(path, path+".real"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path+".real", path); err != nil {
				t.Fatal(err)
			}
		}, []string{"sub/lib.libsonnet: it is no longer a regular file"}},
		{"two problems", func(t *testing.T, path string) {
			writeFile(t, path, "'a/z'")
			writeFile(t, filepath.Join(filepath.Dir(path), "..", "main.jsonnet"), "1")
		}, []string{"sub/lib.libsonnet: the file has changed", "main.jsonnet: the file has changed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			plan := twoFiles(t, dir, 0)
			test.prepare(t, filepath.Join(dir, "sub", "lib.libsonnet"))
			writeFails(t, dir, plan, test.message...)
		})
	}
}

func TestWriteNothing(t *testing.T) {
	if err := new(pin.Patch).Write(); err != nil {
		t.Fatal(err)
	}
}

// TestDiff gives the diff to git, which must make the files of the plan of it.
func TestDiff(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("no git")
	}
	dir := t.TempDir()
	plan := twoFiles(t, dir, 10)
	text := plan.Diff(dir)
	for _, part := range []string{
		"--- a/sub/lib.libsonnet\n+++ b/sub/lib.libsonnet\n",
		expand("-[import 'sub/lib.libsonnet', 'a/x@sha256:<a>']\n+[import 'sub/lib.libsonnet', 'a/x@sha256:<c>']\n"),
	} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("the diff lacks %q:\n%s", part, text)
		}
	}
	apply := exec.Command(git, "apply", "-")
	apply.Dir, apply.Stdin = dir, bytes.NewReader(text)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, text)
	}
	for _, file := range plan.Files {
		if got, err := os.ReadFile(file.Path); err != nil || !bytes.Equal(got, file.New) {
			t.Errorf("%s is %q (%v), want %q", file.Path, got, err, file.New)
		}
	}
}

func TestPins(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plan := twoFiles(t, dir, 0)
	got := make([]string, len(plan.Pins))
	for i, p := range plan.Pins {
		got[i] = strings.TrimPrefix(p.Position.String(), dir+"/") + " " + p.Pointer + " " + p.Old + " -> " + p.New
	}
	want := []string{
		expand("sub/lib.libsonnet:2:1 /0 a/y -> a/y@sha256:<b>"),
		expand("main.jsonnet:2:42 /1 a/x@sha256:<a> -> a/x@sha256:<c>"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the pins are %q, want %q", got, want)
	}
}

func TestComputeStopsWhenCancelled(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "main.jsonnet"), "'a/x'")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := pin.Compute(ctx, jsonnet.New(), dir, filepath.Join(dir, "main.jsonnet"), []pin.Change{{Digest: expand("sha256:<a>")}})
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("the error is %v", err)
	}
}
