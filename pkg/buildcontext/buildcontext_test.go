package buildcontext_test

import (
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/rtbuild/rtbuild/pkg/buildcontext"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, dockerfile string, paths ...string) *buildcontext.Files {
	t.Helper()
	opened, err := buildcontext.Open(dir, dockerfile, filepath.Join(dir, ".state"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := opened.Read(t.Context(), &buildcontext.Hasher{}, paths)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func names(files *buildcontext.Files) []string {
	return slices.Sorted(maps.Keys(files.Hashes()))
}

// What is read are the paths that BuildKit asks for, followed and ignored as it
// does.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "src/b.txt", "src/deep/er/c.txt", "src/c.go", "lib/x", "lib/y.tmp", ".state/db", "keep/in/it", "keep/out"} {
		write(t, filepath.Join(dir, name), name)
	}
	link(t, "lib", filepath.Join(dir, "link"))
	link(t, "/src/c.go", filepath.Join(dir, "absolute"))
	link(t, "../outside", filepath.Join(dir, "out"))
	write(t, filepath.Join(dir, ".dockerignore"), "*.tmp\n**/*.tmp\nkeep\n!keep/in\n")
	moved := filepath.Join(t.TempDir(), "moved")
	link(t, dir, moved)
	for _, test := range []struct {
		name  string
		paths []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"a file", []string{"a.txt"}, []string{"a.txt"}},
		{"a folder", []string{"src"}, []string{"src", "src/b.txt", "src/c.go", "src/deep", "src/deep/er", "src/deep/er/c.txt"}},
		{"wildcards", []string{"*.txt", "src/*.go"}, []string{"a.txt", "src", "src/c.go"}},
		{"any folders", []string{"src/**/*.txt"}, []string{"src", "src/b.txt", "src/deep", "src/deep/er", "src/deep/er/c.txt"}},
		{"a link and what is behind it", []string{"link"}, []string{"lib", "lib/x", "link"}},
		{"a file behind a link", []string{"link/x"}, []string{"lib", "lib/x", "link"}},
		{"a link from the root", []string{"absolute"}, []string{"absolute", "src", "src/c.go"}},
		{"a link out", []string{"out"}, []string{"out"}},
		{"an exception to what is ignored", []string{"keep"}, []string{"keep", "keep/in", "keep/in/it"}},
		{"the whole", []string{buildcontext.Everything}, []string{".dockerignore", "a.txt", "absolute", "keep", "keep/in", "keep/in/it", "lib", "lib/x", "link", "out", "src", "src/b.txt", "src/c.go", "src/deep", "src/deep/er", "src/deep/er/c.txt"}},
		{"rtbuild's own", []string{".state"}, nil},
	} {
		for _, at := range []string{dir, moved} {
			if got := names(read(t, at, filepath.Join(dir, "Dockerfile"), test.paths...)); !slices.Equal(got, test.want) {
				t.Errorf("%s, at %s: %q, want %q", test.name, at, got, test.want)
			}
		}
	}
}

// The ignore file beside the Dockerfile counts, wherever the context is, and
// comes before the context's own.
func TestIgnoreBesideDockerfile(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"common/a", "common/b", "common/c"} {
		write(t, filepath.Join(root, name), "x")
	}
	write(t, filepath.Join(root, ".dockerignore"), "common/a\n")
	dockerfile := filepath.Join(root, "stable/app/Dockerfile.1")
	if got := names(read(t, root, dockerfile, "common")); !slices.Equal(got, []string{"common", "common/b", "common/c"}) {
		t.Errorf("with the context's ignore file: %q", got)
	}
	write(t, dockerfile+".dockerignore", "**\n!common\ncommon/b\n")
	if got := names(read(t, root, dockerfile, "common")); !slices.Equal(got, []string{"common", "common/a", "common/c"}) {
		t.Errorf("with the Dockerfile's ignore file: %q", got)
	}
}

// Two checkouts of one commit are one context: what a umask, a user or a file
// system adds does not show, neither in the hashes nor in what is sent.
func TestCheckoutDoesNotShow(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write(t, file("plain"), "1")
	write(t, file("run"), "1")
	write(t, file("folder/x"), "1")
	link(t, "plain", file("link"))
	if err := os.Chmod(file("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	all := func() *buildcontext.Files { return read(t, dir, file("Dockerfile"), buildcontext.Everything) }
	before := all()
	for name, mode := range map[string]fs.FileMode{"plain": 0o600, "run": 0o700, "folder": 0o700 | fs.ModeSetgid | fs.ModeSticky, "folder/x": 0o664 | fs.ModeSetuid} {
		if err := os.Chmod(file(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(file("plain"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file("folder/x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file("plain"), file("folder/x")); err != nil { // of equal content
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", file("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	after := all()
	if before.Digest() != after.Digest() || !maps.Equal(before.Hashes(), after.Hashes()) {
		t.Errorf("before %v, after %v", before.Hashes(), after.Hashes())
	}
	want := map[string]string{"plain": "-rw-r--r-- 1", "run": "-rwxr-xr-x 1", "folder": "drwxr-xr-x 0", "folder/x": "-rw-r--r-- 1", "link": "Lrwxrwxrwx 0"}
	got := map[string]string{}
	err = after.Walk(t.Context(), "/", func(path string, entry fs.DirEntry, err error) error {
		info, infoErr := entry.Info()
		if err != nil || infoErr != nil {
			t.Fatal(err, infoErr)
		}
		stat := info.Sys().(*fstypes.Stat)
		if stat.Uid != 0 || stat.Gid != 0 || len(stat.Xattrs) > 0 || stat.ModTime != 0 {
			t.Errorf("%s is sent as %v", path, stat)
		}
		got[path] = info.Mode().String() + " " + string(rune('0'+info.Size()))
		return nil
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("sent as %v, %v; want %v", got, err, want)
	}
}

// What can be seen of a context changes its hashes.
func TestHashes(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write(t, file("a/b"), "1")
	all := func() *buildcontext.Files { return read(t, dir, file("Dockerfile"), buildcontext.Everything) }
	before := all()
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"content of equal length", func() error { write(t, file("a/b"), "2"); return nil }},
		{"an executable bit", func() error { return os.Chmod(file("a/b"), 0o755) }},
		{"a name", func() error { return os.Rename(file("a/b"), file("a/c")) }},
		{"a link", func() error { link(t, "c", file("a/l")); return nil }},
		{"a link's target", func() error { os.Remove(file("a/l")); link(t, "d", file("a/l")); return nil }},
		{"an empty folder", func() error { return os.Mkdir(file("empty"), 0o755) }},
		{"a file of that name", func() error { os.Remove(file("empty")); write(t, file("empty"), ""); return nil }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		after := all()
		if after.Digest() == before.Digest() || maps.Equal(after.Hashes(), before.Hashes()) {
			t.Errorf("%s: the hashes stay", step.name)
		}
		before = after
	}
}

// What could not be read is an error that says what to do.
func TestRequire(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "context")
	for _, name := range []string{"a", "folder/b", "hidden", "../outside"} {
		write(t, filepath.Join(dir, name), "x")
	}
	link(t, "folder", filepath.Join(dir, "link"))
	link(t, "../outside", filepath.Join(dir, "out"))
	link(t, "gone", filepath.Join(dir, "dangling"))
	link(t, "loop", filepath.Join(dir, "loop"))
	link(t, "/folder/b", filepath.Join(dir, "absolute"))
	link(t, "../../folder", filepath.Join(dir, "hidden-link"))
	link(t, "/hidden", filepath.Join(dir, "to-hidden"))
	link(t, "/folder", filepath.Join(dir, "to-folder"))
	link(t, "/gone", filepath.Join(dir, "nowhere"))
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	link(t, "socket", filepath.Join(dir, "to-socket"))
	write(t, filepath.Join(dir, ".dockerignore"), "hidden\nhidden-link\nabsolute\n")
	files := read(t, dir, filepath.Join(dir, "Dockerfile"), buildcontext.Everything)
	if err := files.Require([]string{".", "/", "a", "/folder/b", "link/b", "link/../a", "folder/../../a", "to-folder/b"}); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"missing":  "the build reads missing, which is not in the build context",
		"/hidden":  "the build reads hidden, which the ignore file hides: add !hidden to it",
		"out":      "a link out of the build context",
		"dangling": "a link to nothing",
		"nowhere":  "the build reads nowhere, which is a link to nothing",
		"loop":     "the build reads loop: ",
		// As engines see them, links stay in the context.
		"absolute":      "the build reads absolute, which the ignore file hides: add !absolute to it",
		"hidden-link/b": "the build reads hidden-link/b, which the ignore file hides: add !hidden-link/b to it",
		"to-hidden":     "the build reads to-hidden, a link that leads to hidden, which the ignore file hides: add !hidden to it",
		"a/b":           "the build reads a/b: ",
		"socket":        "the build reads socket, which is a socket, a pipe or a device: those are in no build context",
		"to-socket":     "the build reads to-socket, which is a socket, a pipe or a device",
	} {
		if err := files.Require([]string{"a", path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
}

// A file that is no longer what was hashed is not sent, not even to its last
// byte, and an error says so; what was added since is not sent either.
func TestChangedWhileSent(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"content":   func(t *testing.T, path string) { write(t, path, strings.Repeat("b", 100_000)) },
		"longer":    func(t *testing.T, path string) { write(t, path, strings.Repeat("a", 100_001)) },
		"shorter":   func(t *testing.T, path string) { write(t, path, strings.Repeat("a", 99_999)) },
		"empty":     func(t *testing.T, path string) { write(t, path, "") },
		"gone":      func(_ *testing.T, path string) { os.Remove(path) },
		"a folder":  func(t *testing.T, path string) { os.Remove(path); write(t, path+"/x", "x") },
		"last byte": func(t *testing.T, path string) { write(t, path, strings.Repeat("a", 99_999)+"b") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a")
			write(t, path, strings.Repeat("a", 100_000))
			files := read(t, dir, filepath.Join(dir, "Dockerfile"), buildcontext.Everything)
			sent := open(t, files, "a")
			if n, err := io.Copy(io.Discard, sent); n != 100_000 || err != nil || files.Changed() != nil {
				t.Fatalf("unchanged: %d bytes, %v, %v", n, err, files.Changed())
			}
			change(t, path)
			n, err := io.Copy(io.Discard, open(t, files, "a"))
			if err == nil || n >= 100_000 {
				t.Errorf("%d bytes were sent, %v", n, err)
			}
			if err := files.Changed(); err == nil || err.Error() != "a changed while the image was built: run again" {
				t.Errorf("changed: %v", err)
			}
			write(t, filepath.Join(dir, "new"), "x")
			if n, err := io.Copy(io.Discard, open(t, files, "new")); n > 0 || err == nil {
				t.Errorf("a new file: %d bytes, %v", n, err)
			}
		})
	}
}

func open(t *testing.T, files fsutil.FS, path string) io.ReadCloser {
	t.Helper()
	file, err := files.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// An empty file that grew is not sent as an empty one.
func TestEmptyFileGrew(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "")
	files := read(t, dir, filepath.Join(dir, "Dockerfile"), buildcontext.Everything)
	if n, err := io.Copy(io.Discard, open(t, files, "a")); n != 0 || err != nil {
		t.Errorf("empty: %d, %v", n, err)
	}
	write(t, filepath.Join(dir, "a"), "x")
	if n, err := io.Copy(io.Discard, open(t, files, "a")); n != 0 || err == nil {
		t.Errorf("grown: %d, %v", n, err)
	}
}

// The list is filtered by the engine's own questions as the folder would be.
func TestWalkLikeFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b", "a/c/d", "a.txt", "b/x", "c"} {
		write(t, filepath.Join(dir, name), "x")
	}
	link(t, "a", filepath.Join(dir, "l"))
	folder, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, dir, filepath.Join(dir, "Dockerfile"), buildcontext.Everything)
	for _, opt := range []*fsutil.FilterOpt{
		nil, {FollowPaths: []string{"l/c"}}, {FollowPaths: []string{"*/x", "c"}}, {FollowPaths: []string{"absent"}},
		{FollowPaths: []string{"."}}, {ExcludePatterns: []string{"a", "!a/c"}}, {ExcludePatterns: []string{"**/d"}, FollowPaths: []string{"a"}},
	} {
		list := func(of fsutil.FS) (paths []string) {
			t.Helper()
			filtered, err := fsutil.NewFilterFS(of, opt)
			if err != nil {
				t.Fatal(err)
			}
			err = filtered.Walk(t.Context(), "/", func(path string, _ fs.DirEntry, err error) error {
				paths = append(paths, path)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return paths
		}
		if got, want := list(files), list(folder); !slices.Equal(got, want) {
			t.Errorf("%+v: %q, want %q", opt, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"a": 10, "sub/b": 30, "c": 20, "d": 1, "e": 2, "f": 3, "ignored": 1000} {
		write(t, filepath.Join(dir, name), strings.Repeat("x", size))
	}
	write(t, filepath.Join(dir, "Dockerfile.dockerignore"), "ignored\nDockerfile*\n")
	opened, err := buildcontext.Open(dir, filepath.Join(dir, "Dockerfile"), "")
	if err != nil {
		t.Fatal(err)
	}
	total, largest, err := opened.Size(t.Context())
	if err != nil || total != 66 || len(largest) != 5 || largest[0] != (buildcontext.File{Path: "sub/b", Size: 30}) || largest[4].Path != "e" {
		t.Errorf("%d, %v, %v", total, largest, err)
	}
}

// What cannot be sent is an error that names it, unless it is ignored.
func TestNamesThatAreNoText(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "names/caf\xe9/x"), "x")
	link(t, "caf\xe9", filepath.Join(dir, "link"))
	write(t, filepath.Join(dir, "plain"), "x")
	for path, want := range map[string]string{
		"plain": "", "names": `the name of "names/caf\xe9" is not UTF-8`, "link": `"link" is a link to "caf\xe9", which is not UTF-8`,
	} {
		opened, err := buildcontext.Open(dir, filepath.Join(dir, "Dockerfile"), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = opened.Read(t.Context(), &buildcontext.Hasher{}, []string{path})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
	write(t, filepath.Join(dir, ".dockerignore"), "names/*\nlink\n")
	if got := names(read(t, dir, filepath.Join(dir, "Dockerfile"), buildcontext.Everything)); !slices.Equal(got, []string{".dockerignore", "names", "plain"}) {
		t.Errorf("ignored: %q", got)
	}
}

// The pattern that is wrong is named, and the file that has it.
func TestWrongIgnoreFile(t *testing.T) {
	dir := t.TempDir()
	for _, pattern := range []string{"[a", "!"} {
		write(t, filepath.Join(dir, ".dockerignore"), "good\n"+pattern+"\n")
		_, err := buildcontext.Open(dir, filepath.Join(dir, "Dockerfile"), "")
		if want := ".dockerignore: " + strconv.Quote(pattern) + ": "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
