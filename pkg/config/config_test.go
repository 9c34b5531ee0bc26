package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// load loads a settings file of this text.
func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(root)
}

func TestLoad(t *testing.T) {
	if c, err := Load(t.TempDir()); err != nil || !reflect.DeepEqual(c, &Config{}) {
		t.Errorf("without a file: %+v, %v", c, err)
	}
	c, err := load(t, `
manifest: all.jsonnet
roots: [stable, more/runtimes]
jpath: [lib]
extStr: {A: a}
tlaCode: {A: "1"}
registry: ghcr.io/acme
insecureRegistries: [registry.lan:5000]
caFiles: [/ca.pem]
builder: docker://
platforms: [linux/amd64, linux/arm64]
jobs: 3
labels: {a: b}
mirrors: {docker.io: mirror.lan/hub}
images: [{name: base, folder: base, repository: acme/base, tag: "1", dockerfile: Dockerfile.x}]
configMap: {name: n, namespace: s, data: {k: v}}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Manifest: "all.jsonnet", Roots: []string{"stable", "more/runtimes"},
		Jsonnet:  Jsonnet{JPath: []string{"lib"}, ExtStr: map[string]string{"A": "a"}, TLACode: map[string]string{"A": "1"}},
		Registry: "ghcr.io/acme", InsecureRegistries: []string{"registry.lan:5000"}, CAFiles: []string{"/ca.pem"},
		Builder: "docker://", Platforms: []string{"linux/amd64", "linux/arm64"}, Jobs: 3, Labels: map[string]string{"a": "b"},
		Mirrors:   map[string]string{"docker.io": "mirror.lan/hub"},
		Images:    []Image{{Name: "base", Folder: "base", Repository: "acme/base", Tag: "1", Dockerfile: "Dockerfile.x"}},
		ConfigMap: Published{Name: "n", Namespace: "s", Data: map[string]string{"k": "v"}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

// Everything wrong is told at once.
func TestLoadErrors(t *testing.T) {
	for text, want := range map[string][]string{
		"jobs: -1\nroots: [../x, /y]\n":                       {"jobs: -1 is less than 0", `roots: "../x" lies outside`, `roots: "/y" lies outside`},
		"images: [{name: a}, {folder: b, repository: c}]\n":   {"images[0]: folder is missing", "images[0]: repository is missing", "images[1]: name is missing"},
		"configMap: {data: {runtime-images: x}}\n":            {"runtime-images comes from the manifests"},
		"extStr: {A: a}\nextCodeFile: {A: b}\n":               {"extCodeFile: A is set under extStr already"},
		"tlaStr: {A: a}\ntlaStrFile: {A: b}\n":                {"tlaStrFile: A is set under tlaStr already"},
		"registry: ghcr.io\nregistri: x\n":                    {"rtbuild.yaml:2: ", "registri"},
		"jobs: many\n":                                        {"rtbuild.yaml:1: "},
		"jobs: 1\n---\njobs: 2\n":                             {"rtbuild.yaml:"},
		"extStr: {A: a}\ntlaStr: {A: a}\nextCode: {B: b}\n# ": nil,
	} {
		_, err := load(t, text)
		if (err != nil) != (want != nil) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: got %v, want %q", text, err, part)
			}
		}
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "reading the settings: ") {
		t.Errorf("a folder: %v", err)
	}
}

func TestRewriteTimestamp(t *testing.T) {
	for text, keeps := range map[string]bool{"": false, "rewriteTimestamp: true\n": false, "rewriteTimestamp: false\n": true} {
		c, err := load(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := c.KeepsTimes(); got != keeps {
			t.Errorf("%q: files keep the build's times: %v, want %v", text, got, keeps)
		}
	}
}
