package reference_test

import (
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

var digest = "sha256:" + strings.Repeat("a", 64)

func TestParse(t *testing.T) {
	tests := []struct {
		in, name, tag, digest, repository string
	}{
		{"python:3.6", "python", "3.6", "", "index.docker.io/library/python"},
		{"kubeless/go@" + digest, "kubeless/go", "", digest, "index.docker.io/kubeless/go"},
		{"kubeless/go-init:1.13@" + digest, "kubeless/go-init", "1.13", digest, "index.docker.io/kubeless/go-init"},
		{"docker.io/kubeless/go", "docker.io/kubeless/go", "", "", "index.docker.io/kubeless/go"},
		{"localhost:5000/a/b:1", "localhost:5000/a/b", "1", "", "localhost:5000/a/b"},
		{"127.0.0.1:5000/a", "127.0.0.1:5000/a", "", "", "127.0.0.1:5000/a"},
		{"ghcr.io/acme/rt:" + strings.Repeat("b", 64), "ghcr.io/acme/rt", strings.Repeat("b", 64), "", "ghcr.io/acme/rt"},
	}
	for _, test := range tests {
		ref, err := reference.Parse(test.in)
		if err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		if ref.Name != test.name || ref.Tag != test.tag || ref.Digest != test.digest || ref.Repository() != test.repository {
			t.Errorf("%s: got %q %q %q %q", test.in, ref.Name, ref.Tag, ref.Digest, ref.Repository())
		}
		if ref.String() != test.in {
			t.Errorf("%s: printed as %s", test.in, ref)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, in := range []string{"", "Kubeless/go", "a:", "a@sha256:12", "a@md5:" + strings.Repeat("a", 32), "a@sha256:" + strings.Repeat("A", 64), "a b", "a:t@" + digest + "@" + digest} {
		if ref, err := reference.Parse(in); err == nil {
			t.Errorf("%q: parsed as %+v", in, ref)
		}
	}
}

func TestRelocate(t *testing.T) {
	tests := []struct{ in, registry, want string }{
		{"kubeless/go:1@" + digest, "127.0.0.1:5000", "127.0.0.1:5000/kubeless/go:1@" + digest},
		{"kubeless/go", "ghcr.io/acme/ci/", "ghcr.io/acme/ci/kubeless/go"},
		{"ghcr.io/acme/rt:1", "localhost:1", "localhost:1/acme/rt:1"},
		{"python:3", "localhost:1", "localhost:1/python:3"},
		{"library/python:3", "localhost:1", "localhost:1/library/python:3"},
		{"kubeless/go:1", "", "kubeless/go:1"},
	}
	for _, test := range tests {
		if got := reference.MustParse(test.in).Relocate(test.registry).String(); got != test.want {
			t.Errorf("%s at %s: got %s, want %s", test.in, test.registry, got, test.want)
		}
	}
}

func TestCheckRegistry(t *testing.T) {
	for _, registry := range []string{"ghcr.io", "ghcr.io/acme", "localhost", "localhost:5000/x", "127.0.0.1:5000", "[::1]:5000/x"} {
		if err := reference.CheckRegistry(registry); err != nil {
			t.Errorf("%s: %v", registry, err)
		}
	}
	for _, registry := range []string{"acme", "acme/x", "ghcr.io/ACME", "https://ghcr.io", "ghcr.io/a b"} {
		if err := reference.CheckRegistry(registry); err == nil {
			t.Errorf("%s: no error", registry)
		}
	}
}

func TestOfficial(t *testing.T) {
	for in, want := range map[string]bool{"python:3.6": true, "docker.io/library/node": true, "kubeless/python": false, "ghcr.io/library/x": false} {
		if got := reference.MustParse(in).Official(); got != want {
			t.Errorf("%s: official %v, want %v", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"python:3.6", "a/b@" + digest, "h:1/a:t@" + digest, "a::", "@", "a@sha256:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ref, err := reference.Parse(in)
		if err != nil {
			return
		}
		if ref.String() != in {
			t.Errorf("%q is printed as %q", in, ref)
		}
		again, err := reference.Parse(ref.Relocate("localhost:5000/x").String())
		if err != nil || again.Tag != ref.Tag || again.Digest != ref.Digest {
			t.Errorf("%q relocated is %q, %v", in, again, err)
		}
	})
}
