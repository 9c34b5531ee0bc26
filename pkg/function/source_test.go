package function

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// small is tight enough to test.
var small = Loader{Limits: Limits{Bytes: 1 << 20, Files: 20}, Fetch: func(_ context.Context, address string) (io.ReadCloser, error) {
	response, err := http.Get(address)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}}

type entry struct {
	header  tar.Header
	content string
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		e.header.Size = int64(len(e.content))
		if e.header.Mode == 0 {
			e.header.Mode = 0o644
		}
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func file(name, content string) entry { return entry{tar.Header{Name: name}, content} }

func link(name, target string) entry {
	return entry{tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}, ""}
}

func zipOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.header.Name, Method: zip.Deflate}
		content := e.content
		if e.header.Typeflag == tar.TypeSymlink {
			header.SetMode(fs.ModeSymlink | 0o777)
			content = e.header.Linkname
		} else {
			header.SetMode(e.header.FileInfo().Mode())
		}
		part, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func gzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func xzed(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bzipped needs the program: Go's library only reads.
func bzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), "python3", "-c", "import bz2,sys; sys.stdout.buffer.write(bz2.compress(sys.stdin.buffer.read()))")
	command.Stdin = bytes.NewReader(content)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func listing(s Source) string {
	var all []string
	for _, f := range s.Files {
		text := f.Name + "=" + string(f.Content)
		if f.Executable {
			text += "*"
		}
		if f.Link != "" {
			text = f.Name + "->" + f.Link
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func put(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	entries := []entry{
		{tar.Header{Name: "sub/", Typeflag: tar.TypeDir, Mode: 0o755}, ""},
		file("./main.py", "code"), {tar.Header{Name: "sub/run", Mode: 0o755}, "run"}, link("sub/up", "../main.py"), link("here", "sub/run"),
	}
	const want = "here->sub/run main.py=code sub/run=run* sub/up->../main.py"
	archive := tarOf(t, entries...)
	for name, content := range map[string][]byte{
		"f.tar": archive, "f.tar.gz": gzipped(t, archive), "F.TGZ": gzipped(t, archive), "f.tar.xz": xzed(t, archive),
		"f.tar.bz2": bzipped(t, archive), "f.zip": zipOf(t, entries[1:]...),
	} {
		got, err := small.Load(t.Context(), put(t, name, content), "")
		if err != nil || listing(got) != want || !got.Bundle {
			t.Errorf("%s: got %s, %v, want %s", name, listing(got), err, want)
		}
	}
	single := put(t, "f.py", []byte("code"))
	const sum = "5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b"
	for _, wanted := range []string{"", sum, "sha256:" + sum, strings.ToUpper(sum)} {
		got, err := small.Load(t.Context(), single, wanted)
		if err != nil || listing(got) != "f.py=code" || got.Bundle || got.Digest != "sha256:"+sum {
			t.Errorf("with %s: got %+v, %v", wanted, got, err)
		}
	}
	hard := tarOf(t, file("a", "1"), entry{tar.Header{Name: "b", Linkname: "a", Typeflag: tar.TypeLink}, ""})
	if got, err := small.Load(t.Context(), put(t, "f.tar", hard), ""); err != nil || listing(got) != "a=1 b=1" {
		t.Errorf("a hard link: got %s, %v", listing(got), err)
	}
}

func TestLoadAddress(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write(zipOf(t, file("main.py", "code"))); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	got, err := small.Load(t.Context(), server.URL+"/a/f.zip?raw=true", "")
	if err != nil || listing(got) != "main.py=code" {
		t.Errorf("got %s, %v", listing(got), err)
	}
	_, err = small.Load(t.Context(), server.URL+"/a/f.zip", strings.Repeat("0", 64))
	if err == nil || !strings.Contains(err.Error(), got.Digest) || !strings.Contains(err.Error(), "was not unpacked") {
		t.Errorf("with another checksum: %v", err)
	}
}

func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".git/config", "main.py", "sub/mod.py"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := small.Load(t.Context(), dir, "")
	if err != nil || listing(got) != "main.py=main.py sub/mod.py=sub/mod.py" || !got.Bundle {
		t.Errorf("got %s, %v", listing(got), err)
	}
	if _, err := small.Load(t.Context(), dir, "sha256:"+strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "a folder has no checksum") {
		t.Errorf("with a checksum: %v", err)
	}
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	if _, err := small.Load(t.Context(), dir, ""); err == nil || !strings.Contains(err.Error(), `"out" links to "/etc/passwd"`) {
		t.Errorf("with a link that leaves: %v", err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err := errors.Join(err, os.Remove(filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, err := small.Load(t.Context(), dir, ""); err == nil || !strings.Contains(err.Error(), "socket is a device, a pipe or a socket") {
		t.Errorf("with a socket: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	zeros := strings.Repeat("\x00", 4<<20)
	many := make([]entry, 21)
	for i := range many {
		many[i] = file(fmt.Sprint("f", i), "")
	}
	bomb := tarOf(t, file("bomb", zeros))
	skipped := tarOf(t, entry{tar.Header{Name: "skipped", Typeflag: tar.TypeChar}, ""})
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"up.tar", tarOf(t, file("../x", "")), `"../x" leaves the function's folder`},
		{"up.tar.gz", gzipped(t, tarOf(t, file("../x", ""))), `"../x" leaves the function's folder`},
		{"up.tar.bz2", bzipped(t, tarOf(t, file("a/../../x", ""))), `"a/../../x" leaves the function's folder`},
		{"up.tar.xz", xzed(t, tarOf(t, link("l", "/etc"))), `"l" links to "/etc", which is outside`},
		{"up.zip", zipOf(t, file("a/../../x", "")), `"a/../../x" leaves the function's folder`},
		{"absolute.tar", tarOf(t, file("/etc/x", "")), `"/etc/x" leaves the function's folder`},
		{"windows.zip", zipOf(t, file(`..\x`, "")), "a name that no function's file may have"},
		{"link.tar", tarOf(t, link("l", "/etc")), `"l" links to "/etc", which is outside`},
		{"link.zip", zipOf(t, link("a/l", "../../etc")), `"a/l" links to "../../etc", which is outside`},
		{"chain.tar", tarOf(t, link("up", "."), link("out", "up/../..")), "write .. first"},
		{"through.tar", tarOf(t, link("l", "sub"), file("l/x", "")), `"l/x" lies under "l", which is no folder`},
		{"over.tar", tarOf(t, file("sub/x", ""), link("sub", "/etc")), "is a folder and a link"},
		{"over.zip", zipOf(t, file("x", ""), file("x/y", "")), `"x/y" lies under "x"`},
		{"hard.tar", tarOf(t, entry{tar.Header{Name: "h", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}, ""}), "no file that comes before it"},
		{"device.tar", skipped, `"skipped" is a device`},
		{"pipe.tar", tarOf(t, entry{tar.Header{Name: "p", Typeflag: tar.TypeFifo}, ""}), `"p" is a device, a pipe`},
		{"device.zip", zipOf(t, entry{tar.Header{Name: "d", Mode: 0o600, Typeflag: tar.TypeBlock}, ""}), `"d" is a device`},
		{"bomb.tar.gz", gzipped(t, bomb), "more than 1 MB"},
		{"bomb.tar.bz2", bzipped(t, bomb), "more than 1 MB"},
		{"bomb.tar.xz", xzed(t, bomb), "more than 1 MB"},
		{"device.tar.bz2", bzipped(t, skipped), `"skipped" is a device`},
		{"text.tar.bz2", []byte("text"), "unpacking it: bzip2 data invalid"},
		{"text.tar.xz", []byte("text"), "unpacking it: "},
		{"bomb.zip", zipOf(t, file("bomb", zeros)), "more than 1 MB"},
		{"large.py", []byte(zeros), "more than 1 MB"},
		{"many.tar", tarOf(t, many...), "more than 20 entries"},
		{"many.zip", zipOf(t, many...), "more than 20 entries"},
		{"empty.tar", tarOf(t), "it has no files"},
		{"text.zip", []byte("text"), "unpacking it: zip: not a valid zip file"},
		{"text.tar.gz", []byte("text"), "unpacking it: unexpected EOF"},
		{"cut.tar.gz", gzipped(t, bomb)[:100], "unexpected EOF"},
	} {
		got, err := small.Load(t.Context(), put(t, c.name, c.content), "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %s, %v, want %q", c.name, listing(got), err, c.want)
		}
	}
	for place, want := range map[string]string{"": "a source is missing", "/no/such/file": "there is no such file or folder", "/dev/null": "neither a file nor a folder"} {
		if _, err := small.Load(t.Context(), place, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", place, err, want)
		}
	}
	if _, err := small.Load(t.Context(), "/dev/null", "md5:1"); err == nil || !strings.Contains(err.Error(), "want sha256: and 64") {
		t.Errorf("a checksum of another kind: %v", err)
	}
}

// Whatever comes, nothing leaves the folder.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte{}, "f.zip")
	f.Add([]byte("PK\x05\x06"+strings.Repeat("\x00", 18)), "f.zip")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		unpack := unpackerOf(name)
		if unpack == nil {
			return
		}
		made := newTree(small.Limits)
		if unpack(bytes.NewReader(content), int64(len(content)), made) != nil {
			return
		}
		for name, file := range made.files {
			if !fs.ValidPath(name) || file.Link != "" && !filepath.IsLocal(filepath.Join(filepath.Dir(name), file.Link)) {
				t.Errorf("%q, a link to %q", name, file.Link)
			}
			if slices.Contains(strings.Split(name, "/"), "..") {
				t.Errorf("%q", name)
			}
		}
	})
}
