package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// modified is the time of the files of writeRootfs.
func modified() time.Time { return time.Unix(1_700_000_000, 0) }

func writeRootfs(t *testing.T, name, content string) string {
	t.Helper()
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	if err := tw.WriteHeader(&tar.Header{Name: "etc/motd", Mode: 0o644, Size: int64(len(content)), ModTime: modified()}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		var compressed bytes.Buffer
		zw := gzip.NewWriter(&compressed)
		if _, err := io.Copy(zw, &archive); err != nil {
			t.Fatal(err)
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		archive = compressed
	}
	return writeFile(t, name, archive.Bytes())
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPutsImagesOnce(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	for _, name := range []string{"rootfs.tar", "rootfs.tar.gz"} {
		t.Run(name, func(t *testing.T) {
			file := writeRootfs(t, name, name)
			put := func() string {
				var out bytes.Buffer
				if err := run(t.Context(), []string{"--registry", host + "/mirror", "debian:" + name + "=" + file}, &out, io.Discard); err != nil {
					t.Fatal(err)
				}
				return out.String()
			}
			first, second := put(), put()
			if want := host + "/mirror/library/debian:" + name + "@sha256:"; !strings.HasPrefix(first, want) {
				t.Errorf("got %q, want %s…", first, want)
			}
			if want := strings.Replace(first, " written\n", " unchanged\n", 1); second != want || second == first {
				t.Errorf("the second time: %q, want %q", second, want)
			}
		})
	}
}

func TestLocalRegistryKeepsImages(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	root := t.TempDir()
	file := writeRootfs(t, "rootfs.tar.gz", "hello")
	for _, state := range []string{"written", "unchanged"} {
		var out bytes.Buffer
		err := run(t.Context(), []string{"--registry", "local", "--root", root, "debian:1=" + file, "acme/base:1=" + file}, &out, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), " "+state+"\n"); got != 2 {
			t.Errorf("want 2 images %s:\n%s", state, out.String())
		}
	}
}

// An image that holds certificates of the host says so.
func TestHostCertificates(t *testing.T) {
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	for _, name := range []string{"./usr/local/share/ca-certificates/", "./usr/local/share/ca-certificates/host-0123.crt", "./usr/share/ca-certificates/host-0.crt"} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		writeFile(t, "with.tar", archive.Bytes()): "trusts certificates of the machine that made it (1)",
		writeRootfs(t, "without.tar", "hello"):    "",
	} {
		image, err := newImage(file)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := config.Config.Labels["dev.rtbuild.local-only"]; got != want {
			t.Errorf("%s: labelled %q, want %q", filepath.Base(file), got, want)
		}
	}
}

func TestImage(t *testing.T) {
	for _, name := range []string{"rootfs.tar", "rootfs.tar.gz"} {
		testImage(t, writeRootfs(t, name, "hello"))
	}
}

func testImage(t *testing.T, file string) {
	t.Helper()
	image, err := newImage(file)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != runtime.GOARCH {
		t.Errorf("platform %s/%s", config.OS, config.Architecture)
	}
	if strings.Join(config.Config.Cmd, " ") != "bash" || len(config.Config.Env) != 1 || !strings.HasPrefix(config.Config.Env[0], "PATH=") {
		t.Errorf("config %+v", config.Config)
	}
	if !config.Created.Equal(modified()) {
		t.Errorf("created %v", config.Created)
	}
}

func TestRefusals(t *testing.T) {
	rootfs := writeRootfs(t, "rootfs.tar", "hello")
	for _, test := range []struct {
		name  string
		args  []string
		usage bool
		says  string
	}{
		{"no registry", []string{"debian:1=" + rootfs}, true, "usage"},
		{"no image", []string{"--registry", "localhost:5000"}, true, "usage"},
		{"unknown flag", []string{"--registri", "x"}, true, "registri"},
		{"no file", []string{"--registry", "localhost:5000", "debian:1"}, true, "want NAME:TAG=FILE"},
		{"no tag", []string{"--registry", "localhost:5000", "debian=" + rootfs}, true, "want NAME:TAG"},
		{"no reference", []string{"--registry", "localhost:5000", "De bian:1=" + rootfs}, true, "De bian"},
		{"no host", []string{"--registry", "mirror", "debian:1=" + rootfs}, true, "mirror"},
		{"missing file", []string{"--registry", "localhost:5000", "debian:1=/nonexistent.tar"}, false, "/nonexistent.tar"},
		{"no archive", []string{"--registry", "localhost:5000", "debian:1=" + writeFile(t, "x.tar", []byte("text"))}, false, "neither a tar archive"},
		{"empty", []string{"--registry", "localhost:5000", "debian:1=" + writeFile(t, "x.tar", nil)}, false, "neither a tar archive"},
		{"zstd", []string{"--registry", "localhost:5000", "debian:1=" + writeFile(t, "x.tar.zst", []byte{0x28, 0xb5, 0x2f, 0xfd, 0})}, false, "zstd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), test.args, &out, io.Discard)
			if err == nil {
				t.Fatalf("no error; printed %q", out.String())
			}
			if errors.Is(err, errUsage) != test.usage {
				t.Errorf("usage error: %v, want %v: %v", !test.usage, test.usage, err)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error does not say %q: %v", test.says, err)
			}
		})
	}
}
