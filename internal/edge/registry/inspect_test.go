package registry

import (
	"errors"
	"reflect"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/release"
)

func layerSize(t *testing.T, images ...v1.Image) int64 {
	t.Helper()
	var sum int64
	for _, image := range images {
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range manifest.Layers {
			sum += layer.Size
		}
	}
	if sum == 0 {
		t.Fatal("images without layers")
	}
	return sum
}

func TestInspect(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	c := New(Config{})

	labels := map[string]string{"inputs": "abc"}
	arm, amd := platformImage(t, "arm64", map[string]string{"inputs": "other"}), platformImage(t, "amd64", labels)
	single, _, err := c.Push(t.Context(), host+"/acme/go:single", amd)
	if err != nil {
		t.Fatal(err)
	}
	attestation := mutate.IndexAddendum{Add: platformImage(t, "unknown", nil), Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
	}}
	signature := mutate.IndexAddendum{Add: mutate.ConfigMediaType(platformImage(t, "amd64", nil), "application/vnd.example.signature")}
	armEntry := mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}}
	amdEntry := mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}}
	amdBare := mutate.IndexAddendum{Add: amd}
	multi := writeIndex(t, host+"/acme/go:multi", mutate.AppendManifests(empty.Index, armEntry, amdEntry, attestation))
	bare := writeIndex(t, host+"/acme/go:bare", mutate.AppendManifests(empty.Index, amdBare, signature))

	for _, test := range []struct {
		ref      string
		want     release.Inspection
		requests int // but for the version check
	}{
		{":single", release.Inspection{Descriptor: single, Platforms: []string{"linux/amd64"}, Labels: labels, LayerSize: layerSize(t, amd)}, 2},
		{"@" + single.Digest, release.Inspection{Descriptor: single, Platforms: []string{"linux/amd64"}, Labels: labels, LayerSize: layerSize(t, amd)}, 2},
		{":multi", release.Inspection{Descriptor: multi, Platforms: []string{"linux/amd64", "linux/arm64/v8"}, Labels: labels, LayerSize: layerSize(t, arm, amd)}, 4},
		{":bare", release.Inspection{Descriptor: bare, Platforms: []string{"linux/amd64"}, Labels: labels, LayerSize: layerSize(t, amd)}, 4},
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

func TestInspectRefusals(t *testing.T) {
	noCredentials(t)
	host, _ := startServer(t, newRegistry())
	c := New(Config{})
	writeIndex(t, host+"/acme/go:empty", empty.Index)
	writeIndex(t, host+"/acme/go:nested", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: randomImage(t)})}))
	for ref, image := range map[string]v1.Image{
		"signature": mutate.ConfigMediaType(platformImage(t, "amd64", nil), types.MediaType("application/vnd.example.signature")),
		"nowhere":   platformImage(t, "", nil),
	} {
		if _, _, err := c.Push(t.Context(), host+"/acme/go:"+ref, image); err != nil {
			t.Fatal(err)
		}
	}
	for ref, says := range map[string]string{
		"empty":     "holds no image",
		"nested":    "is not an image: its media type is application/vnd.oci.image.index.v1+json",
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
	if _, err := c.Inspect(t.Context(), host+"/acme/go:absent"); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// The ONBUILD instructions of an index are those of its first image, and not of
// an attestation.
func TestOnBuild(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	c := New(Config{})
	want := []string{"COPY . /app"}
	image, err := mutate.Config(randomImage(t), v1.Config{OnBuild: want})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Push(t.Context(), host+"/acme/go:single", image); err != nil {
		t.Fatal(err)
	}
	attestation := mutate.IndexAddendum{Add: randomImage(t), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}}
	writeIndex(t, host+"/acme/go:multi", mutate.AppendManifests(empty.Index, attestation, mutate.IndexAddendum{Add: image}, mutate.IndexAddendum{Add: randomImage(t)}))
	writeIndex(t, host+"/acme/go:empty", mutate.AppendManifests(empty.Index, attestation))
	for tag, most := range map[string]int{"single": 2, "multi": 3} {
		requests.take()
		got, err := c.OnBuild(t.Context(), host+"/acme/go:"+tag)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", tag, got, err)
		}
		if seen := requests.take(); len(seen) > most {
			t.Errorf("%s: requests %v, want %d", tag, seen, most)
		}
	}
	if _, err := c.OnBuild(t.Context(), host+"/acme/go:empty"); err == nil {
		t.Error("an index without an image: no error")
	}
	if _, err := c.OnBuild(t.Context(), host+"/acme/go:absent"); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
