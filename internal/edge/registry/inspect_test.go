package registry

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

func TestInspect(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	c := New(Config{})

	labels := map[string]string{"inputs": "abc"}
	arm, amd := platformImage(t, "arm64", map[string]string{"inputs": "other"}), platformImage(t, "amd64", labels)
	single := write(t, host+"/acme/go:single", amd)
	attestation := mutate.IndexAddendum{Add: platformImage(t, "unknown", nil), Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
	}}
	signature := mutate.IndexAddendum{Add: mutate.ConfigMediaType(platformImage(t, "amd64", nil), "application/vnd.example.signature")}
	armEntry := mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}}
	amdEntry := mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}}
	amdBare := mutate.IndexAddendum{Add: amd}
	multi := writeIndex(t, host+"/acme/go:multi", mutate.AppendManifests(empty.Index, armEntry, amdEntry, attestation))
	inner := mutate.AppendManifests(empty.Index, armEntry, amdEntry, attestation)
	nested := writeIndex(t, host+"/acme/go:nested", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: inner}, attestation))
	bare := writeIndex(t, host+"/acme/go:bare", mutate.AppendManifests(empty.Index, amdBare, signature))

	digests := func(images ...interface{ Digest() (v1.Hash, error) }) (all []string) {
		for _, image := range images {
			digest, err := image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, digest.String())
		}
		return all
	}

	for _, test := range []struct {
		ref      string
		want     release.Inspection
		requests int // but for the version check
	}{
		{":single", release.Inspection{Descriptor: single, Platforms: []string{"linux/amd64"}, Labels: labels}, 2},
		{"@" + single.Digest, release.Inspection{Descriptor: single, Platforms: []string{"linux/amd64"}, Labels: labels}, 2},
		{":multi", release.Inspection{Descriptor: multi, Platforms: []string{"linux/amd64", "linux/arm64/v8"}, Labels: labels, Children: digests(arm, amd, attestation.Add)}, 4},
		{":nested", release.Inspection{Descriptor: nested, Platforms: []string{"linux/amd64", "linux/arm64/v8"}, Labels: labels, Children: digests(inner, arm, amd, attestation.Add, attestation.Add)}, 5},
		{":bare", release.Inspection{Descriptor: bare, Platforms: []string{"linux/amd64"}, Labels: labels, Children: digests(amd, signature.Add)}, 4},
	} {
		requests.take()
		got, err := c.Inspect(t.Context(), host+"/acme/go"+test.ref)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.ref, got, test.want)
		}
		if seen := requests.take(); len(seen) != test.requests {
			t.Errorf("%s: requests %v, want %d", test.ref, seen, test.requests)
		}
	}
}

// typeParameters adds what proxies before registries add to media types.
type typeParameters struct{ http.ResponseWriter }

func (w typeParameters) WriteHeader(status int) {
	if kind := w.Header().Get("Content-Type"); kind != "" {
		w.Header().Set("Content-Type", kind+"; charset=utf-8")
	}
	w.ResponseWriter.WriteHeader(status)
}

// An image is one whatever parameters its media type has, and so is an index.
func TestMediaTypeWithParameters(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	host, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		registry.ServeHTTP(typeParameters{w}, r)
	}))
	image := platformImage(t, "amd64", map[string]string{"inputs": "abc"})
	single := write(t, host+"/acme/go:single", image)
	entry := mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}}
	multi := writeIndex(t, host+"/acme/go:multi", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: mutate.AppendManifests(empty.Index, entry)}))
	c := New(Config{})
	for _, pushed := range []Descriptor{single, multi} {
		ref := host + "/acme/go@" + pushed.Digest
		got, err := c.Inspect(t.Context(), ref)
		if err != nil || got.Descriptor != pushed || !slices.Equal(got.Platforms, []string{"linux/amd64"}) || got.Labels["inputs"] != "abc" {
			t.Errorf("%s: %+v, %v, want %+v", ref, got, err, pushed)
		}
		if _, err := c.Config(t.Context(), ref, "linux/amd64"); err != nil {
			t.Errorf("its configuration: %v", err)
		}
		if err := c.Tag(t.Context(), host+"/acme/go:new", pushed.Digest); err != nil {
			t.Errorf("tagging it: %v", err)
		}
		if there, err := c.Resolve(t.Context(), host+"/acme/go:new"); err != nil || there != pushed {
			t.Errorf("tagged: %+v, %v, want %+v", there, err, pushed)
		}
	}
}

func TestInspectRefusals(t *testing.T) {
	noCredentials(t)
	host, _ := startServer(t, newRegistry())
	c := New(Config{})
	writeIndex(t, host+"/acme/go:empty", empty.Index)
	deep := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: randomImage(t)})
	for range 9 { // one more than are followed
		deep = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: deep})
	}
	writeIndex(t, host+"/acme/go:deep", deep)
	for ref, image := range map[string]v1.Image{
		"signature": mutate.ConfigMediaType(platformImage(t, "amd64", nil), types.MediaType("application/vnd.example.signature")),
		"nowhere":   platformImage(t, "", nil),
	} {
		write(t, host+"/acme/go:"+ref, image)
	}
	for ref, says := range map[string]string{
		"empty":     "holds no image",
		"deep":      "is not an image: its media type is application/vnd.oci.image.index.v1+json",
		"signature": "application/vnd.example.signature",
		"nowhere":   "does not say which platform",
	} {
		_, err := c.Inspect(t.Context(), host+"/acme/go:"+ref)
		if err == nil {
			t.Errorf("%s: no error", ref)
			continue
		}
		mustContain(t, err, "inspecting "+host+"/acme/go:"+ref, says)
	}
	if _, err := c.Inspect(t.Context(), host+"/acme/go:absent"); !errors.Is(err, reference.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// What a base says is read from the image of the platform, through several
// levels of indexes, and never from an attestation.
func TestConfig(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	c := New(Config{})
	made := func(arch string) v1.Image {
		t.Helper()
		image, err := mutate.ConfigFile(randomImage(t), &v1.ConfigFile{
			OS: "linux", Architecture: arch, Created: v1.Time{Time: time.Unix(1_700_000_000, 0)}, RootFS: v1.RootFS{Type: "layers"},
			Config: v1.Config{Env: []string{"ARCH=" + arch}, WorkingDir: "/w", User: "u", Shell: []string{"sh"}, OnBuild: []string{"COPY . /app"}, Labels: map[string]string{baseimage.LabelLocalOnly: "l"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	entry := func(image mutate.Appendable, arch, variant string) mutate.IndexAddendum {
		addendum := mutate.IndexAddendum{Add: image}
		if arch != "" {
			addendum.Platform = &v1.Platform{OS: "linux", Architecture: arch, Variant: variant}
		}
		return addendum
	}
	write(t, host+"/acme/go:single", made("amd64"))
	attestation := mutate.IndexAddendum{Add: randomImage(t), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}}
	inner := mutate.AppendManifests(empty.Index, attestation, entry(made("arm64"), "arm64", "v8"), entry(made("amd64"), "amd64", ""))
	writeIndex(t, host+"/acme/go:multi", inner)
	writeIndex(t, host+"/acme/go:silent", mutate.AppendManifests(empty.Index, entry(made("arm64"), "", ""), entry(made("amd64"), "", "")))
	writeIndex(t, host+"/acme/go:nested", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: inner}))
	writeIndex(t, host+"/acme/go:deep", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: mutate.AppendManifests(empty.Index, entry(inner, "amd64", ""))}))
	writeIndex(t, host+"/acme/go:empty", mutate.AppendManifests(empty.Index, attestation))
	for _, test := range []struct {
		tag, platform, env string
		most               int
	}{
		{"single", "linux/amd64", "ARCH=amd64", 2}, {"single", "linux/arm64", "ARCH=amd64", 2},
		{"multi", "linux/amd64", "ARCH=amd64", 3}, {"multi", "linux/arm64", "ARCH=arm64", 3}, {"multi", "linux/arm64/v8", "ARCH=arm64", 3},
		{"silent", "linux/amd64", "ARCH=amd64", 5}, {"nested", "linux/arm64", "ARCH=arm64", 4}, {"nested", "linux/amd64", "ARCH=amd64", 4},
		{"deep", "linux/amd64", "ARCH=amd64", 5},
	} {
		requests.take()
		got, err := c.Config(t.Context(), host+"/acme/go:"+test.tag, test.platform)
		if err != nil || !reflect.DeepEqual(got.Env, []string{test.env}) || got.WorkingDir != "/w" || got.User != "u" || len(got.Shell) != 1 || len(got.OnBuild) != 1 || got.LocalOnly != "l" || got.Created.Unix() != 1_700_000_000 {
			t.Errorf("%s for %s: %+v, %v", test.tag, test.platform, got, err)
		}
		if seen := requests.take(); len(seen) > test.most {
			t.Errorf("%s: requests %v, want %d", test.tag, seen, test.most)
		}
	}
	for tag, platform := range map[string]string{"empty": "linux/amd64", "multi": "linux/s390x", "nested": "linux/s390x"} {
		if _, err := c.Config(t.Context(), host+"/acme/go:"+tag, platform); err == nil || !strings.Contains(err.Error(), "holds no image for "+platform) {
			t.Errorf("%s: %v", tag, err)
		}
	}
	if _, err := c.Config(t.Context(), host+"/acme/go:absent", "linux/amd64"); !errors.Is(err, reference.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
