//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// builders are the engines to test with: RTBUILD_E2E_BUILDERS, separated by
// commas.
func builders() []string {
	list := os.Getenv("RTBUILD_E2E_BUILDERS")
	if list == "" {
		list = "docker,embedded"
	}
	return strings.Split(list, ",")
}

var binary string // the rtbuild under test

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rtbuild-e2e-")
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

// A result is what a command printed and its exit code.
type result struct {
	stdout, stderr string
	code           int
}

// rtbuild runs the command in a repository.
func rtbuild(t *testing.T, root string, args ...string) result {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"-C", root}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("rtbuild %q: %v", args, err)
	}
	r := result{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
	t.Logf("rtbuild %s: exit %d", strings.Join(args, " "), r.code)
	return r
}

// want runs the command and wants an exit code.
func want(t *testing.T, code int, root string, args ...string) result {
	t.Helper()
	r := rtbuild(t, root, args...)
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.stdout, tail(r.stderr))
	}
	return r
}

func tail(text string) string {
	return text[max(0, len(text)-4000):]
}

// registry starts Debian's docker-registry with an empty folder and returns
// its HOST:PORT.
func registry(t *testing.T) string {
	t.Helper()
	return registryWith(t, "")
}

// registryWith is registry with more settings, of whole lines.
func registryWith(t *testing.T, settings string) string {
	t.Helper()
	return serveRegistry(t, settings).host
}

// A servedRegistry is Debian's docker-registry at HOST:PORT, with its settings
// file and the folder that it stores images in.
type servedRegistry struct{ host, config, folder string }

func serveRegistry(t *testing.T, settings string) servedRegistry {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n%s", dir, address, settings))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install Debian's docker-registry", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	for range 100 {
		if response, err := http.Get("http://" + address + "/v2/"); err == nil {
			response.Body.Close()
			return servedRegistry{address, config, dir}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("docker-registry does not answer at %s", address)
	return servedRegistry{}
}

// digestAt asks the registry, without any of rtbuild's code, for the digest
// of HOST/path:tag or HOST/path@digest.
func digestAt(t *testing.T, ref string) string {
	t.Helper()
	repository, version := split(ref)
	response := askManifest(t, http.MethodHead, repository, version)
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return ""
	}
	return response.Header.Get("Docker-Content-Digest")
}

// manifestAt reads a manifest or index of a repository, HOST/path.
func manifestAt(t *testing.T, repository, version string, into any) {
	t.Helper()
	response := askManifest(t, http.MethodGet, repository, version)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s of %s: %s", version, repository, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func askManifest(t *testing.T, method, repository, version string) *http.Response {
	t.Helper()
	host, path, _ := strings.Cut(repository, "/")
	request, err := http.NewRequest(method, "http://"+host+"/v2/"+path+"/manifests/"+version, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Accept"] = []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.index.v1+json"}
	request.SetBasicAuth("user", "secret") // a registry without a login takes no notice
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// split takes HOST/path:tag or HOST/path@digest apart.
func split(ref string) (repository, version string) {
	repository, digest, pinned := strings.Cut(ref, "@")
	if tag := strings.LastIndexByte(repository, ':'); tag > strings.LastIndexByte(repository, '/') {
		repository, version = repository[:tag], repository[tag+1:]
	}
	if pinned {
		version = digest
	}
	return repository, version
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// sources are all files of a tree except rtbuild's own state, by path.
func sources(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".rtbuild" {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			files[path] = read(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// unchanged wants a tree to be as it was.
func unchanged(t *testing.T, root string, before map[string]string) {
	t.Helper()
	after := sources(t, root)
	for path, content := range after {
		if before[path] != content {
			t.Errorf("%s was changed or added", path)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			t.Errorf("%s is gone", path)
		}
	}
}

// destinationOf is a prefix at a registry that no other engine's test uses.
func destinationOf(host, builder string) string {
	return host + "/" + strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(builder)), "-")
}
