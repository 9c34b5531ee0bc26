package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

func TestOpenRefuses(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///no/such/docker.sock")
	for context, want := range map[string]string{
		"":                   "/no/such/docker.sock does not answer",
		"no-such-context-of": "no-such-context-of",
	} {
		c, err := Open(t.Context(), Config{Context: context})
		if err == nil {
			t.Errorf("%s: opened %s", context, c.Name())
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", context, err, want)
		}
	}
}

func TestPublishing(t *testing.T) {
	for host, want := range map[string][2]string{
		"unix:///var/run/docker.sock": {"127.0.0.1", "127.0.0.1"},
		"tcp://localhost:2375":        {"127.0.0.1", "127.0.0.1"},
		"tcp://[::1]:2375":            {"127.0.0.1", "127.0.0.1"},
		"tcp://builds.example:2376":   {"0.0.0.0", "builds.example"},
		"ssh://me@builds.example":     {},
	} {
		bind, reach, err := Endpoint{context: defaultContext, host: host}.publishing()
		if got := [2]string{bind, reach}; got != want || (err == nil) != (bind != "") {
			t.Errorf("%s: got %v, %v", host, got, err)
		}
	}
}

func TestPack(t *testing.T) {
	archive, err := pack(1000, 0o644, []function.File{
		{Name: "a.py", Content: []byte("text")}, {Name: "empty"}, {Name: "sub/run", Executable: true}, {Name: "sub/link", Link: "../a.py"},
	})
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name      string
		mode      int64
		uid, gid  int
		directory bool
		content   string
	}
	var got []entry
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry{header.Name, header.Mode, header.Uid, header.Gid, header.Typeflag == tar.TypeDir, header.Linkname + string(content)})
	}
	want := []entry{
		{"volume/", 0o2777, 0, 1000, true, ""},
		{"volume/a.py", 0o644, 1000, 1000, false, "text"},
		{"volume/empty", 0o644, 1000, 1000, false, ""},
		{"volume/sub/", 0o2775, 1000, 1000, true, ""},
		{"volume/sub/run", 0o755, 1000, 1000, false, ""},
		{"volume/sub/link", 0o777, 1000, 1000, false, "../a.py"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// What is packed is read back, and a hard link is a file of the same content.
func TestUnpack(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, header := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "volume/", Mode: 0o2777},
		{Typeflag: tar.TypeReg, Name: "volume/a", Mode: 0o755, Size: 4},
		{Typeflag: tar.TypeLink, Name: "volume/b", Mode: 0o755, Linkname: "volume/a"},
		{Typeflag: tar.TypeSymlink, Name: "volume/c", Mode: 0o777, Linkname: "a"},
	} {
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := w.Write([]byte("text")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := unpack(&archive)
	want := []function.File{{Name: "a", Content: []byte("text"), Executable: true}, {Name: "b", Content: []byte("text"), Executable: true}, {Name: "c", Link: "a"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestProcesses(t *testing.T) {
	got, err := processes(container.TopResponse{Titles: []string{"PID", "UID", "COMMAND"}, Processes: [][]string{{"7", "1000", "/proxy"}, {"9", "0", "sh -c x"}}})
	if want := []containers.Process{{UID: 1000, Command: "/proxy"}, {UID: 0, Command: "sh -c x"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, top := range []container.TopResponse{
		{Titles: []string{"PID", "COMMAND"}, Processes: [][]string{{"7", "x"}}},
		{Titles: []string{"PID", "UID"}, Processes: [][]string{{"7", "root"}}},
	} {
		if got, err := processes(top); err == nil {
			t.Errorf("%v: got %v", top, got)
		}
	}
}
