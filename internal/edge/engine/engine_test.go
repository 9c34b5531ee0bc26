package engine

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/buildcontext"
)

func TestParseChoice(t *testing.T) {
	tests := []struct {
		in   string
		want choice
		err  string
	}{
		{"", choice{kind: "auto"}, ""},
		{"auto", choice{kind: "auto"}, ""},
		{"docker", choice{kind: "docker"}, ""},
		{"docker://", choice{kind: "docker"}, ""},
		{"docker://far", choice{kind: "docker", address: "far"}, ""},
		{"embedded", choice{kind: "embedded"}, ""},
		{"unix:///run/b.sock", choice{kind: "buildkitd", address: "unix:///run/b.sock"}, ""},
		{"tcp://[::1]:1234", choice{kind: "buildkitd", address: "tcp://[::1]:1234"}, ""},
		{"unix://run/b.sock", choice{}, "must be absolute"},
		{"tcp://host", choice{}, "port is missing"},
		{"podman", choice{}, "choose auto, docker,"},
		{"http://host:1", choice{}, "choose auto, docker,"},
	}
	for _, test := range tests {
		got, err := parseChoice(test.in)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("parseChoice(%q) = %+v, %v; want %+v, %q", test.in, got, err, test.want, test.err)
		}
	}
}

// An engine that cannot be reached is an error with its address and a next
// step.
func TestOpenUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := closed.Addr().String()
	closed.Close()
	socket := filepath.Join(t.TempDir(), "none.sock")

	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	tests := []struct{ builder, address, step string }{
		{"docker", socket, "start it"},
		{"docker://absent", `"absent"`, "docker context ls"},
		{"unix://" + socket, socket, "check the address"},
		{"tcp://" + port, port, "check the address"},
	}
	for _, test := range tests {
		b, err := Open(t.Context(), Config{Builder: test.builder})
		if err == nil {
			t.Errorf("Open(%s) = %v, want an error", test.builder, b.Capabilities())
			continue
		}
		for _, want := range []string{test.address, test.step} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("Open(%s): error %q lacks %q", test.builder, err, want)
			}
		}
	}
}

// Without a Docker engine auto falls back to the embedded one; where that is
// impossible too, the error tells both reasons.
func TestOpenAutoWithoutEngines(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	t.Setenv("PATH", t.TempDir()) // no runc
	_, err := Open(t.Context(), Config{Builder: "auto", StateDir: t.TempDir()})
	if err == nil {
		t.Fatal("Open found an engine")
	}
	for _, want := range []string{socket, "embedded", "buildkitd"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}

// contextOf is a folder with all that is in it now, less what is ignored for a
// Dockerfile of that name.
func contextOf(t *testing.T, dir, dockerfile string) build.Context {
	t.Helper()
	opened, err := buildcontext.Open(dir, filepath.Join(dir, dockerfile), "")
	if err != nil {
		t.Fatal(err)
	}
	files, err := opened.Read(t.Context(), &buildcontext.Hasher{}, []string{buildcontext.Everything})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestValidate(t *testing.T) {
	valid := build.Request{
		Name: "x", Context: contextOf(t, t.TempDir(), "Dockerfile"), Dockerfile: []byte("FROM scratch"),
		DockerfileName: "Dockerfile", References: []string{"r.example/x:1"}, Push: true,
	}
	tests := []struct {
		name   string
		change func(*build.Request)
		want   string
	}{
		{"valid", func(*build.Request) {}, ""},
		{"no context", func(r *build.Request) { r.Context = nil }, "no context"},
		{"no Dockerfile", func(r *build.Request) { r.Dockerfile = nil }, "no Dockerfile"},
		{"Dockerfile in a folder", func(r *build.Request) { r.DockerfileName = "a/Dockerfile" }, "not a base name"},
		{"push to nowhere", func(r *build.Request) { r.References = nil }, "not where to"},
		{"push to a digest", func(r *build.Request) {
			r.References = []string{"r.example/x@sha256:" + strings.Repeat("0", 64)}
		}, "only a tag can be pushed"},
		{"no reference", func(r *build.Request) { r.References = []string{"UPPER"} }, `"UPPER"`},
	}
	for _, test := range tests {
		req := valid
		test.change(&req)
		err := validate(req)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: validate = %v, want %q", test.name, err, test.want)
		}
	}
}

func TestSolveOptSharedKey(t *testing.T) {
	dir := t.TempDir()
	base := build.Request{Context: contextOf(t, dir, "Dockerfile"), Dockerfile: []byte("b"), DockerfileName: "c"}
	key := func(req build.Request) string {
		t.Helper()
		opt, err := solveOpt(req, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		return opt.SharedKey
	}
	keys := map[string]string{}
	add := func(what, key string) {
		t.Helper()
		if other, taken := keys[key]; taken || key == "" {
			t.Errorf("the key of %s is %q, like that of %s", what, key, other)
		}
		keys[key] = what
	}
	add("the request", key(base))
	if again := base; key(again) != key(base) {
		t.Error("the key of one request is not always the same")
	}
	dockerfile := base
	dockerfile.Dockerfile = []byte("x")
	add("another Dockerfile", key(dockerfile))
	moved := base
	moved.DockerfileName, moved.Dockerfile = "cb", []byte("")
	add("the same bytes, split otherwise", key(moved))
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	context := base
	context.Context = contextOf(t, dir, "Dockerfile")
	add("another context", key(context))
}

func TestSolveOptAttributes(t *testing.T) {
	opt, err := solveOpt(build.Request{
		Context: contextOf(t, t.TempDir(), "Dockerfile"), Dockerfile: []byte("b"), DockerfileName: "Dockerfile.1",
		Args: map[string]string{"A": "1"}, Labels: map[string]string{"l": "2"}, Stage: "s",
		Platforms: []string{"linux/amd64", "linux/arm64"}, Epoch: time.Unix(1_700_000_000, 5),
	}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"filename": "Dockerfile.1", "build-arg:A": "1", "label:l": "2", "target": "s", "platform": "linux/amd64,linux/arm64",
		"build-arg:SOURCE_DATE_EPOCH": "1700000000",
	}
	if len(opt.FrontendAttrs) != len(want) {
		t.Errorf("attributes = %v, want %v", opt.FrontendAttrs, want)
	}
	for name, value := range want {
		if opt.FrontendAttrs[name] != value {
			t.Errorf("attribute %s = %q, want %q", name, opt.FrontendAttrs[name], value)
		}
	}
}

// The engine asks for exactly the names that it wants to read; one name being
// the beginning of another must not matter.
func TestMemoryFolderWalk(t *testing.T) {
	mount := mountDockerfile(build.Request{DockerfileName: "Dockerfile", Dockerfile: []byte("y")})
	for target, want := range map[string]string{
		"":                         "Dockerfile Dockerfile.dockerignore",
		"/":                        "Dockerfile Dockerfile.dockerignore",
		"Dockerfile":               "Dockerfile",
		"/Dockerfile":              "Dockerfile",
		"/Dockerfile.dockerignore": "Dockerfile.dockerignore",
		"/absent":                  "",
	} {
		var got []string
		err := mount.Walk(context.Background(), target, func(path string, _ os.DirEntry, err error) error {
			got = append(got, path)
			return err
		})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("Walk(%q) = %q, %v; want %q", target, got, err, want)
		}
	}
}
