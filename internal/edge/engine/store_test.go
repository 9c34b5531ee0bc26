package engine

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rtbuild/rtbuild/pkg/build"
)

func TestGraphDriverStoreAdmit(t *testing.T) {
	store := &graphDriverStore{engine: "Docker engine 20", native: []ocispec.Platform{
		{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "386"},
	}}
	tests := []struct {
		platforms []string
		want      string
	}{
		{nil, ""},
		{[]string{"linux/amd64"}, ""},
		{[]string{"linux/x86_64"}, ""},
		{[]string{"linux/arm64"}, "linux/amd64 only"},
		{[]string{"linux/386"}, "linux/amd64 only"},
		{[]string{"linux/amd64", "linux/arm64"}, "one platform at a time"},
		{[]string{"linux/"}, `"linux/"`},
	}
	for _, test := range tests {
		err := store.admit(build.Request{Platforms: test.platforms})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("admit(%q) = %v, want %q", test.platforms, err, test.want)
		}
	}
	if err := store.admit(build.Request{Platforms: []string{"linux/arm64"}}); !strings.Contains(err.Error(), "embedded") {
		t.Errorf("error %q names no engine that can", err)
	}
}

func TestReadPush(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	tests := []struct {
		name, stream string
		want         pushAnswer
		err          string
	}{
		{"pushed", `{"status":"The push refers to …"}` + "\r\n" + `{"status":"Pushed","progressDetail":{},"id":"x"}` +
			`{"status":"1: digest: …"}{"progressDetail":{},"aux":{"Tag":"1","Digest":"` + digest + `","Size":5}}`, pushAnswer{digest: digest}, ""},
		{"refused", `{"status":"x"}{"errorDetail":{"message":"denied: no"},"error":"denied: no"}`, pushAnswer{failure: "denied: no"}, ""},
		{"refused in the end", `{"status":"Retrying in 5 seconds","id":"x"}{"error":"EOF"}`, pushAnswer{failure: "EOF", retried: true}, ""},
		{"error after the digest", `{"aux":{"Digest":"` + digest + `"}}{"error":"late"}`, pushAnswer{failure: "late"}, ""},
		{"cut off", `{"status":"x"}`, pushAnswer{}, "without the image's digest"},
		{"no JSON", `<html>`, pushAnswer{}, "reading the engine's answer"},
		{"bad digest", `{"aux":{"Digest":"sha256:1"}}`, pushAnswer{}, `"sha256:1"`},
	}
	for _, test := range tests {
		got, err := readPush(strings.NewReader(test.stream))
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: readPush = %+v, %v; want %+v, %q", test.name, got, err, test.want, test.err)
		}
	}
}

func TestOCIStoreInsecure(t *testing.T) {
	store := newOCIStore([]string{"plain.example:5000", "old.example"})
	tests := []struct {
		refs []string
		want bool
	}{
		{[]string{"127.0.0.1:5000/a:1"}, true},
		{[]string{"127.9.9.9/a:1"}, true},
		{[]string{"localhost/a:1", "localhost:1/a:1"}, true},
		{[]string{"[::1]:5000/a:1"}, true},
		{[]string{"plain.example:5000/a:1"}, true},
		{[]string{"plain.example/a:1"}, false},
		{[]string{"old.example:7/a:1"}, true},
		{[]string{"ghcr.io/a/b:1"}, false},
		{[]string{"a/b:1"}, false},
		{[]string{"127.0.0.1:5000/a:1", "ghcr.io/a/b:1"}, false},
	}
	for _, test := range tests {
		if got := store.allInsecure(test.refs); got != test.want {
			t.Errorf("allInsecure(%q) = %v, want %v", test.refs, got, test.want)
		}
	}
}

func TestOCIStorePrepare(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	store := newOCIStore(nil)
	t.Cleanup(func() {
		if err := store.close(); err != nil {
			t.Error(err)
		}
	})
	opt := client.SolveOpt{FrontendAttrs: map[string]string{}}
	req := build.Request{References: []string{"ghcr.io/a/b:1", "ghcr.io/a/b:2"}, Push: true, Parents: map[string]build.Result{
		"docker.io/library/base:latest": {Digest: digest},
		"base:1":                        {Digest: digest},
	}}
	if err := store.prepare(t.Context(), req, &opt); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"context:base", "context:base:1"} {
		if got, want := opt.FrontendAttrs[name], "oci-layout://rtbuild@"+digest; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if len(opt.Exports) != 1 || opt.Exports[0].Type != "image" || opt.Exports[0].Attrs["name"] != "ghcr.io/a/b:1,ghcr.io/a/b:2" ||
		opt.Exports[0].Attrs["push"] != "true" || opt.Exports[0].Attrs["registry.insecure"] != "" {
		t.Errorf("exports = %+v", opt.Exports)
	}

	opt = client.SolveOpt{FrontendAttrs: map[string]string{}}
	if err := store.prepare(t.Context(), build.Request{}, &opt); err != nil || len(opt.Exports) != 0 {
		t.Errorf("a build only: exports = %+v, %v", opt.Exports, err)
	}
	req.Parents = map[string]build.Result{"base:1": {}}
	if err := store.prepare(t.Context(), req, &opt); err == nil || !strings.Contains(err.Error(), "base:1") {
		t.Errorf("prepare with a parent that is nowhere = %v", err)
	}
}

// An image's manifest says what the image was made from, as its label does.
func TestOCIStoreAnnotates(t *testing.T) {
	store := newOCIStore(nil)
	for _, test := range []struct {
		labels    map[string]string
		platforms []string
		want      map[string]string
	}{
		{nil, nil, nil},
		{map[string]string{build.LabelFingerprint: "f", "other": "x"}, nil, map[string]string{"annotation-manifest.dev.rtbuild.fingerprint": "f"}},
		{map[string]string{build.LabelFingerprint: "f"}, []string{"linux/amd64"}, map[string]string{"annotation-manifest.dev.rtbuild.fingerprint": "f"}},
		{
			map[string]string{build.LabelFingerprint: "f"}, []string{"linux/amd64", "linux/arm64"},
			map[string]string{"annotation-index.dev.rtbuild.fingerprint": "f", "oci-mediatypes": "true"},
		},
	} {
		opt := client.SolveOpt{FrontendAttrs: map[string]string{}}
		req := build.Request{References: []string{"r.example/x:1"}, Push: true, Labels: test.labels, Platforms: test.platforms}
		if err := store.prepare(t.Context(), req, &opt); err != nil {
			t.Fatal(err)
		}
		got := opt.Exports[0].Attrs
		delete(got, "name")
		delete(got, "push")
		if !maps.Equal(got, test.want) {
			t.Errorf("labels %v, platforms %v: attributes %v, want %v", test.labels, test.platforms, got, test.want)
		}
	}
}

func TestOCIStoreFinish(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	store := newOCIStore(nil)
	req := build.Request{References: []string{"r.example/x:1"}, Push: true}
	got, err := store.finish(t.Context(), req, map[string]string{"containerimage.digest": digest}, nil)
	if err != nil || got.Digest != digest || !slices.Equal(got.References, req.References) {
		t.Errorf("finish = %+v, %v", got, err)
	}
	if _, err := store.finish(t.Context(), req, map[string]string{}, nil); err == nil {
		t.Error("finish took a push without a digest")
	}
}
