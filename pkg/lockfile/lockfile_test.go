package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

func TestKey(t *testing.T) {
	for in, want := range map[string]string{
		"debian":                                 "docker.io/library/debian:latest",
		"debian:bookworm-slim":                   "docker.io/library/debian:bookworm-slim",
		"library/debian:1":                       "docker.io/library/debian:1",
		"docker.io/debian:1":                     "docker.io/library/debian:1",
		"index.docker.io/library/debian:1":       "docker.io/library/debian:1",
		"kubeless/go":                            "docker.io/kubeless/go:latest",
		"ghcr.io/acme/rt:1":                      "ghcr.io/acme/rt:1",
		"localhost:5000/a/b":                     "localhost:5000/a/b:latest",
		"[::1]:5000/a:1":                         "[::1]:5000/a:1",
		"debian:12@" + digestA:                   "docker.io/library/debian:12",
		"index.docker.io.example.org/x/debian:1": "index.docker.io.example.org/x/debian:1",
	} {
		key := Key(reference.MustParse(in))
		if key != want {
			t.Errorf("%s: got %s, want %s", in, key, want)
		}
		if again := Key(reference.MustParse(key)); again != key {
			t.Errorf("%s: the key of its key %s is %s", in, key, again)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	f := load(t, path)
	if f.Changed() || len(f.References()) != 0 {
		t.Errorf("no file: changed %v, references %q", f.Changed(), f.References())
	}
	save(t, f)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file without a change: %v", err)
	}
	for _, name := range []string{"python:3.9", "python:3.13", "debian", "ghcr.io/acme/rt:1", "[::1]:5000/a:1"} {
		if old := f.Set(reference.MustParse(name), digestA); old != "" {
			t.Errorf("%s: replaced %q", name, old)
		}
	}
	if !f.Changed() {
		t.Error("not changed by Set")
	}
	save(t, f)
	if f.Changed() {
		t.Error("still changed after Save")
	}
	want := "# Written by rtbuild: the digests of the base images. To update them, run: rtbuild lock --update\n" +
		"version: 1\nimages:\n" +
		"  '[::1]:5000/a:1': " + digestA + "\n" +
		"  docker.io/library/debian:latest: " + digestA + "\n" +
		"  docker.io/library/python:3.13: " + digestA + "\n" +
		"  docker.io/library/python:3.9: " + digestA + "\n" +
		"  ghcr.io/acme/rt:1: " + digestA + "\n"
	if got := read(t, path); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	f = load(t, path)
	if digest, ok := f.Digest(reference.MustParse("docker.io/debian")); !ok || digest != digestA {
		t.Errorf("debian: %q, %v", digest, ok)
	}
	if digest, ok := f.Digest(reference.MustParse("debian:12")); ok {
		t.Errorf("debian:12: %q", digest)
	}
	if old := f.Set(reference.MustParse("debian:latest"), digestB); old != digestA {
		t.Errorf("replaced %q", old)
	}
	for _, name := range f.References()[2:] {
		f.Remove(reference.MustParse(name))
	}
	f.Remove(reference.MustParse("never:there"))
	save(t, f)
	if got, want := load(t, path).References(), []string{"[::1]:5000/a:1", "docker.io/library/debian:latest"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range f.References() {
		f.Remove(reference.MustParse(name))
	}
	save(t, f)
	if got := read(t, path); !strings.HasSuffix(got, "\nimages: {}\n") {
		t.Errorf("without entries: %s", got)
	}
	load(t, path)
}

// What images say is kept as it is, whatever it holds, for each platform; an image
// that says nothing is not one that nobody asked.
func TestConfigs(t *testing.T) {
	const amd64, arm = "linux/amd64", "linux/arm/v7"
	path := filepath.Join(t.TempDir(), FileName)
	f := load(t, path)
	odd := baseimage.Config{
		Created: time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC), Env: []string{"PATH=/a:/b", "X=", "Y=\u0007\n: # [x]", "Z=true"}, WorkingDir: "/ w", User: "1000", LocalOnly: "for: a reason",
		Shell: []string{"bash", "-c"}, OnBuild: []string{"COPY . /app", "RUN <<EOF\ntabs\t: # [x]\n\nEOF", "true", "", " 'x'"},
	}
	f.SetConfig(digestA, amd64, odd)
	f.SetConfig(digestA, arm, baseimage.Config{User: "1"})
	f.SetConfig(digestB, amd64, baseimage.Config{})
	f.SetConfig("sha256:"+strings.Repeat("c", 64), amd64, odd)
	f.KeepConfigs(map[string]bool{digestA: true, digestB: true})
	if !f.Changed() {
		t.Error("not changed")
	}
	save(t, f)
	f = load(t, path)
	for _, test := range []struct {
		digest, platform string
		want             baseimage.Config
		known            bool
	}{
		{digestA, amd64, odd, true}, {digestA, arm, baseimage.Config{User: "1"}, true}, {digestA, "linux/arm64", baseimage.Config{}, false},
		{digestB, amd64, baseimage.Config{}, true}, {"sha256:" + strings.Repeat("c", 64), amd64, baseimage.Config{}, false},
	} {
		if got, ok := f.Config(test.digest, test.platform); ok != test.known || !got.Equal(test.want) {
			t.Errorf("%s, %s: got %+v, %v, want %+v", test.digest, test.platform, got, ok, test.want)
		}
	}
	if !strings.HasSuffix(read(t, path), "\n  "+digestB+":\n    linux/amd64: {}\n") {
		t.Errorf("the file is\n%s", read(t, path))
	}
	f.SetConfig("sha256:12", amd64, baseimage.Config{})
	if err := f.Save(); err == nil || !strings.Contains(err.Error(), "is not a digest") {
		t.Errorf("a malformed digest: %v", err)
	}
}

// What earlier versions wrote is read; what they kept of images is read anew.
func TestEarlierFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	write(t, path, "version: 1\nimages:\n  docker.io/library/a:1: "+digestA+"\n# What the images make builds on them do (ONBUILD).\nonbuild:\n  "+digestA+": [COPY . /app]\n")
	f := load(t, path)
	if digest, ok := f.Digest(reference.MustParse("a:1")); !ok || digest != digestA {
		t.Errorf("digest %s, %v", digest, ok)
	}
	if config, ok := f.Config(digestA, "linux/amd64"); ok {
		t.Errorf("config %+v", config)
	}
	if f.Changed() {
		t.Error("reading changes it")
	}
	f.SetConfig(digestA, "linux/amd64", baseimage.Config{User: "x"})
	save(t, f)
	if strings.Contains(read(t, path), "ONBUILD") {
		t.Errorf("the file is\n%s", read(t, path))
	}
}

func TestReferencesWithDigest(t *testing.T) {
	f := load(t, filepath.Join(t.TempDir(), FileName))
	for _, name := range []string{"debian@" + digestA, "debian:12@" + digestA} {
		ref := reference.MustParse(name)
		f.Set(ref, digestB)
		if f.Changed() {
			t.Errorf("%s: got an entry", name)
		}
		if digest, ok := f.Digest(ref); !ok || digest != digestA {
			t.Errorf("%s: %q, %v; want its own digest", name, digest, ok)
		}
	}
}

func TestLoad(t *testing.T) {
	for _, source := range []string{
		"version: 1\n", "version: 1\nimages:\n", "version: 1\nimages: {}\n", "---\nversion: 1\n...\n", "# c\n\nversion: 1 # c\n",
	} {
		path := filepath.Join(t.TempDir(), FileName)
		write(t, path, source)
		if f := load(t, path); len(f.References()) != 0 || f.Changed() {
			t.Errorf("%q: %q, changed %v", source, f.References(), f.Changed())
		}
	}
}

func TestLoadErrors(t *testing.T) {
	entry := "  docker.io/library/a:1: " + digestA + "\n"
	tests := []struct {
		name, source string
		line         int
		want         string
	}{
		{"empty", "", 1, "is empty"},
		{"comment alone", "# comment\n", 1, "is empty"},
		{"no version", "images:\n" + entry, 1, "version is missing"},
		{"other version", "x: 1\nversion: 2\n", 2, "reads version 1 alone"},
		{"version as text", "version: '1'\n", 1, "reads version 1 alone"},
		{"version as list", "version: [1]\n", 1, "reads version 1 alone"},
		{"unknown key", "version: 1\nimage:\n" + entry, 2, `unknown key "image"`},
		{"second version", "version: 1\nimages: {}\nversion: 1\n", 3, `"version" is here for the second time, after line 1`},
		{"second entry", "version: 1\nimages:\n" + entry + entry, 4, "after line 3"},
		{"short reference", "version: 1\nimages:\n  a:1: " + digestA + "\n", 3, "write docker.io/library/a:1"},
		{"no tag", "version: 1\nimages:\n  docker.io/library/a: " + digestA + "\n", 3, "write docker.io/library/a:latest"},
		{"index.docker.io", "version: 1\nimages:\n  index.docker.io/library/a:1: " + digestA + "\n", 3, "write docker.io/library/a:1"},
		{"digest in the reference", "version: 1\nimages:\n  docker.io/library/a:1@" + digestA + ": " + digestA + "\n", 3, "needs no entry"},
		{"no reference", "version: 1\nimages:\n  A B: " + digestA + "\n", 3, "A B"},
		{"wrong digests, all of them", "version: 1\nimages:\n  docker.io/library/a:1: sha256:12\n  docker.io/library/b:1: md5:12\n", 3, "lock:4: \"md5:12\" is not a digest"},
		{"upper case", "version: 1\nimages:\n  docker.io/library/a:1: sha256:" + strings.Repeat("A", 64) + "\n", 3, "is not a digest"},
		{"no digest", "version: 1\nimages:\n  docker.io/library/a:1:\n", 3, "is not a digest"},
		{"list for a digest", "version: 1\nimages:\n  docker.io/library/a:1: [x]\n", 3, "is not a digest"},
		{"alias", "version: 1\nimages:\n  docker.io/library/a:1: &x " + digestA + "\n  docker.io/library/b:1: *x\n", 4, "is not a digest"},
		{"merge key", "version: 1\nimages:\n  <<: {docker.io/library/a:1: " + digestA + "}\n", 3, "not plain text"},
		{"number as key", "version: 1\nimages:\n  1: " + digestA + "\n", 3, "not plain text"},
		{"list", "- version: 1\n", 1, "must be a mapping"},
		{"images as list", "version: 1\nimages:\n- x\n", 3, "images must be a mapping"},
		{"no digest for what an image says", "version: 1\nconfigs:\n  docker.io/library/a:1: {}\n", 3, "is not a digest"},
		{"no platform", "version: 1\nconfigs:\n  " + digestA + ":\n    amd64: {}\n", 4, "is not a platform"},
		{"an unknown word of an image", "version: 1\nconfigs:\n  " + digestA + ":\n    linux/amd64:\n      entrypoint: x\n", 5, `unknown key "entrypoint"`},
		{"no list", "version: 1\nconfigs:\n  " + digestA + ":\n    linux/amd64:\n      env: {a: b}\n", 5, "cannot be read"},
		{"second document", "version: 1\n---\nversion: 1\n", 2, "second document"},
		{"syntax", "version: 1\nimages: {\n", 2, "did not find"},
		{"merge conflict", "version: 1\nimages:\n<<<<<<< HEAD\n" + entry + "=======\n" + entry + ">>>>>>> x\n", 3, "conflict"},
		{"control character", "version: 1\n\x01", 1, "control"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), FileName)
			write(t, path, test.source)
			_, err := Load(path)
			if err == nil {
				t.Fatal("loaded")
			}
			if prefix := fmt.Sprintf("%s:%d: ", path, test.line); !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s…%s", err, prefix, test.want)
			}
		})
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was loaded")
	}
}

func TestConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	f := load(t, path)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			ref := reference.MustParse(fmt.Sprintf("image:%d", i))
			f.Set(ref, digestA)
			if digest, ok := f.Digest(ref); !ok || digest != digestA {
				t.Errorf("%s: %q, %v", ref, digest, ok)
			}
			if err := f.Save(); err != nil {
				t.Error(err)
			}
			_, _ = f.Changed(), f.References()
			f.Remove(reference.MustParse("other"))
		})
	}
	group.Wait()
	if got := load(t, path).References(); len(got) != 8 {
		t.Errorf("%q", got)
	}
}

func load(t *testing.T, path string) *File {
	t.Helper()
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func save(t *testing.T, f *File) {
	t.Helper()
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
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
