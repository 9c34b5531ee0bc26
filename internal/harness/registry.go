package harness

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A RegistryConfig configures a registry. The zero value is usable.
type RegistryConfig struct {
	// Host is the IP address to listen at; 127.0.0.1 if it is empty.
	Host string
	// Users is an htpasswd file's content; if it is not empty, a login is wanted.
	Users string
	// Settings are more lines of the registry's configuration.
	Settings string
}

// A Served registry is at Address, HOST:PORT, with its settings file and the folder
// that it stores images in.
type Served struct{ Address, Config, Folder string }

// Registry is the address of a registry that Serve starts.
func Registry(tb testing.TB, cfg RegistryConfig) string {
	tb.Helper()
	return Serve(tb, cfg).Address
}

// Serve starts Debian's docker-registry without images on a free port. It ends
// with the test.
func Serve(tb testing.TB, cfg RegistryConfig) Served {
	tb.Helper()
	// Between the search for a port and the registry's start another program may
	// take the port.
	for range 10 {
		if served, ok := tryServe(tb, cfg); ok {
			return served
		}
	}
	tb.Fatal("docker-registry finds no free port")
	return Served{}
}

// tryServe does not succeed if the registry ends instead of answering.
func tryServe(tb testing.TB, cfg RegistryConfig) (served Served, ok bool) {
	tb.Helper()
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	listener.Close()
	dir := tb.TempDir()
	served = Served{Address: listener.Addr().String(), Config: filepath.Join(dir, "config.yml"), Folder: filepath.Join(dir, "data")}
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n%s", served.Folder, served.Address, cfg.Settings)
	if cfg.Users != "" {
		passwords := filepath.Join(dir, "htpasswd")
		Write(tb, passwords, cfg.Users)
		text += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", passwords)
	}
	Write(tb, served.Config, text)
	cmd := exec.Command("docker-registry", "serve", served.Config)
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%v: install Debian's docker-registry", err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = cmd.Wait() // it does not end by itself but for want of its port
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-over
	})
	for range 600 {
		select {
		case <-over:
			return Served{}, false
		case <-time.After(50 * time.Millisecond):
		}
		if response, err := http.Get("http://" + served.Address + "/v2/"); err == nil {
			response.Body.Close()
			return served, true
		}
	}
	tb.Fatalf("docker-registry does not answer at %s", served.Address)
	return Served{}, false
}

// DigestAt asks the registry for the digest of HOST/path:tag or
// HOST/path@digest; "" if it has none.
func DigestAt(tb testing.TB, ref string) string {
	tb.Helper()
	repository, version := Split(ref)
	response := Ask(tb, http.MethodHead, repository, "manifests/"+version)
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return ""
	}
	return response.Header.Get("Docker-Content-Digest")
}

// ManifestAt reads a manifest or index of a repository, HOST/path.
func ManifestAt(tb testing.TB, repository, version string, into any) {
	tb.Helper()
	response := Ask(tb, http.MethodGet, repository, "manifests/"+version)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("%s of %s: %s", version, repository, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		tb.Fatal(err)
	}
}

// Ask asks the registry for what a repository, HOST/path, has: manifests/VERSION
// or blobs/DIGEST. The body is to be closed.
func Ask(tb testing.TB, method, repository, what string) *http.Response {
	tb.Helper()
	host, path, _ := strings.Cut(repository, "/")
	request, err := http.NewRequestWithContext(tb.Context(), method, "http://"+host+"/v2/"+path+"/"+what, nil)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header["Accept"] = []string{
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	}
	request.SetBasicAuth("user", "secret") // a registry without a login takes no notice
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	return response
}

// Split takes HOST/path:tag or HOST/path@digest apart.
func Split(ref string) (repository, version string) {
	repository, digest, pinned := strings.Cut(ref, "@")
	if tag := strings.LastIndexByte(repository, ':'); tag > strings.LastIndexByte(repository, '/') {
		repository, version = repository[:tag], repository[tag+1:]
	}
	if pinned {
		version = digest
	}
	return repository, version
}
