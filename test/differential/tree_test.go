package differential

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A tree is the files of a case, by slash-separated path. Folders that hold
// something need no entry.
type tree map[string]entry

// An entry is a file, a folder or a symbolic link.
type entry struct {
	kind    kind
	content string // of a file; the target of a link
	mode    fs.FileMode
	// touched is how much later than the others a file was written.
	touched time.Duration
}

type kind string

const (
	file   kind = "file"
	folder kind = "folder"
	link   kind = "link"
)

func (t tree) clone() tree { return maps.Clone(t) }

func (t tree) paths() []string { return slices.Sorted(maps.Keys(t)) }

// of are the paths of one kind, in order.
func (t tree) of(k kind) []string {
	return slices.DeleteFunc(t.paths(), func(name string) bool { return t[name].kind != k })
}

// folders are all folders, those without an entry too; "." is among them.
func (t tree) folders() []string {
	found := map[string]bool{".": true}
	for name, e := range t {
		if e.kind == folder {
			found[name] = true
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			found[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// remove takes a path away, and what lies below it.
func (t tree) remove(name string) {
	for other := range t {
		if other == name || strings.HasPrefix(other, name+"/") {
			delete(t, other)
		}
	}
}

// write puts the tree into dir, which it replaces. A mask takes permissions
// away, as a umask does.
func (t tree) write(tb testing.TB, dir string, mask fs.FileMode) {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(os.RemoveAll(dir))
	must(os.MkdirAll(dir, 0o755))
	written := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, name := range t.paths() {
		full, e := filepath.Join(dir, name), t[name]
		must(os.MkdirAll(filepath.Dir(full), 0o755))
		switch e.kind {
		case file:
			must(os.WriteFile(full, []byte(e.content), 0o600))
			must(os.Chtimes(full, written, written.Add(e.touched)))
		case folder:
			must(os.MkdirAll(full, 0o755))
		case link:
			must(os.Symlink(e.content, full))
		}
	}
	for _, name := range slices.Backward(slices.Sorted(slices.Values(slices.Concat(t.folders(), t.of(file))))) {
		mode := cmp.Or(t[name].mode, 0o755)
		must(os.Chmod(filepath.Join(dir, name), mode&^mask))
	}
}

// String is the tree as a txtar archive, with modes and links as comments.
func (t tree) String() string {
	var b strings.Builder
	for _, name := range t.paths() {
		switch e := t[name]; e.kind {
		case folder:
			fmt.Fprintf(&b, "# mkdir -m %o %q\n", e.mode, name)
		case link:
			fmt.Fprintf(&b, "# ln -s %q %q\n", e.content, name)
		case file:
			fmt.Fprintf(&b, "# chmod %s %q\n", octal(e.mode), name)
		}
	}
	for _, name := range t.of(file) {
		fmt.Fprintf(&b, "-- %s --\n%s", name, printable(t[name].content))
	}
	return b.String()
}

// octal is a mode as chmod takes it.
func octal(mode fs.FileMode) string {
	bits := mode.Perm()
	if mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	return fmt.Sprintf("%04o", uint32(bits))
}

func printable(content string) string {
	if strings.ContainsRune(content, 0) {
		return fmt.Sprintf("# an archive of %d bytes, with %s\n", len(content), strings.Join(tokens(content), " "))
	}
	return strings.TrimSuffix(content, "\n") + "\n"
}

// String is the case with its files.
func (c *testCase) String() string {
	return fmt.Sprintf("# context %s, dockerfile %s, target %q, args %v\n%s", c.context, c.dockerfile, c.stage, c.args, c.files)
}
