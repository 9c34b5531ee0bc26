package engine

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/rtbuild/rtbuild/pkg/contract"
)

func TestOpenContainersRefuses(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///no/such/docker.sock")
	for builder, want := range map[string]string{
		"embedded":                    "choose a Docker engine, with --builder docker://",
		"unix:///run/buildkitd.sock":  "choose a Docker engine, with --builder docker://",
		"tcp://127.0.0.1:1234":        "choose a Docker engine, with --builder docker://",
		"nonsense":                    "is unknown",
		"docker://":                   "/no/such/docker.sock does not answer",
		"auto":                        "/no/such/docker.sock does not answer",
		"docker://no-such-context-of": "no-such-context-of",
	} {
		c, err := OpenContainers(t.Context(), Config{Builder: builder})
		if err == nil {
			t.Errorf("%s: opened %s", builder, c.Name())
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", builder, err, want)
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
		bind, reach, err := dockerEndpoint{context: defaultContext, host: host}.publishing()
		if got := [2]string{bind, reach}; got != want || (err == nil) != (bind != "") {
			t.Errorf("%s: got %v, %v", host, got, err)
		}
	}
}

func TestPack(t *testing.T) {
	archive, err := pack(1000, 0o644, []contract.VolumeFile{{Name: "a.py", Content: []byte("text")}, {Name: "empty"}})
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
		got = append(got, entry{header.Name, header.Mode, header.Uid, header.Gid, header.Typeflag == tar.TypeDir, string(content)})
	}
	want := []entry{
		{"volume/", 0o2777, 0, 1000, true, ""},
		{"volume/a.py", 0o644, 1000, 1000, false, "text"},
		{"volume/empty", 0o644, 1000, 1000, false, ""},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestProcesses(t *testing.T) {
	got, err := processes(container.TopResponse{Titles: []string{"PID", "UID", "COMMAND"}, Processes: [][]string{{"7", "1000", "/proxy"}, {"9", "0", "sh -c x"}}})
	if want := []contract.Process{{UID: 1000, Command: "/proxy"}, {UID: 0, Command: "sh -c x"}}; err != nil || !slices.Equal(got, want) {
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
