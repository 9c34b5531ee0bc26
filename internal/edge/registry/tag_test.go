package registry

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

func TestTag(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	c := New(Config{})
	push(t, host+"/acme/go:1")
	image := push(t, host+"/acme/go:new")
	index := writeIndex(t, host+"/acme/go:index", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: platformImage(t, "arm64", nil)}))
	requests.take()

	for _, want := range []Descriptor{image, index, image} {
		if err := c.Tag(t.Context(), host+"/acme/go:1", want.Digest); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(requests.take(), func(r string) bool { return r == "GET /v2/" })
		if want := []string{"GET /v2/acme/go/manifests/" + want.Digest, "PUT /v2/acme/go/manifests/1", "HEAD /v2/acme/go/manifests/1"}; !slices.Equal(got, want) {
			t.Errorf("requests %v, want %v", got, want)
		}
		resolved, err := c.Resolve(t.Context(), host+"/acme/go:1")
		if err != nil {
			t.Fatal(err)
		}
		if resolved != want {
			t.Errorf("the tag points to %v, want %v", resolved, want)
		}
		requests.take()
	}
}

// Annotations are read in one request, of images and of indexes, and what was
// read is not asked for again when a tag moves to it.
func TestAnnotations(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	image, ok := mutate.Annotations(platformImage(t, "amd64", nil), map[string]string{"made.from": "image"}).(v1.Image)
	if !ok {
		t.Fatal("no image")
	}
	write(t, host+"/acme/go:image", image)
	plain := push(t, host+"/acme/go:plain")
	annotated, ok := mutate.Annotations(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image}), map[string]string{"made.from": "index"}).(v1.ImageIndex)
	if !ok {
		t.Fatal("no index")
	}
	index := writeIndex(t, host+"/acme/go:index", annotated)
	c := New(Config{})
	requests.take()
	for tag, want := range map[string]string{"image": "image", "index": "index", "plain": ""} {
		desc, annotations, err := c.Annotations(t.Context(), host+"/acme/go:"+tag)
		if err != nil {
			t.Fatal(err)
		}
		if annotations["made.from"] != want {
			t.Errorf("%s: annotations %v, want %q", tag, annotations, want)
		}
		if got, want := requests.take(), []string{"GET /v2/acme/go/manifests/" + tag}; !slices.Equal(got, want) {
			t.Errorf("requests %v, want %v", got, want)
		}
		if resolved, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:"+tag); err != nil || desc != resolved {
			t.Errorf("%s is %v, want %v, %v", tag, desc, resolved, err)
		}
		requests.take()
	}
	for _, want := range []Descriptor{index, plain} {
		if err := c.Tag(t.Context(), host+"/acme/go:moved", want.Digest); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(requests.take(), func(r string) bool { return r == "GET /v2/" })
		if want := []string{"PUT /v2/acme/go/manifests/moved", "HEAD /v2/acme/go/manifests/moved"}; !slices.Equal(got, want) {
			t.Errorf("requests %v, want %v", got, want)
		}
	}
	if _, _, err := c.Annotations(t.Context(), host+"/acme/go:absent"); !errors.Is(err, reference.ErrNotFound) {
		t.Errorf("of an absent image: %v", err)
	}
	if _, _, err := c.Annotations(t.Context(), host+"/Acme:1"); err == nil {
		t.Error("no error for what is not a reference")
	}
}

// Docker Hub counts a GET of a manifest as a pull, and a HEAD not.
func TestAnnotationsOfDockerHub(t *testing.T) {
	noCredentials(t)
	var methods []string
	c := New(Config{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		methods = append(methods, req.Method)
		return &http.Response{StatusCode: http.StatusOK, Request: req, Body: http.NoBody, ContentLength: 1, Header: http.Header{
			"Content-Type": {string(types.OCIManifestSchema1)}, "Content-Length": {"1"}, "Docker-Content-Digest": {"sha256:" + strings.Repeat("a", 64)},
		}}, nil
	})})
	desc, annotations, err := c.Annotations(t.Context(), "kubeless/python:3.13")
	if err != nil || desc.Digest != "sha256:"+strings.Repeat("a", 64) || annotations != nil || !slices.Equal(methods, []string{http.MethodHead}) {
		t.Errorf("%v, %v, %v with %v", desc, annotations, err, methods)
	}
}

func TestTagRefusals(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	host, _ := startServer(t, registry)
	c := New(Config{})
	before := push(t, host+"/acme/go:1")
	other := push(t, host+"/acme/go:2")
	// This one takes tags and forgets them.
	forgetful, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(201)
			return
		}
		registry.ServeHTTP(w, r)
	}))
	readOnly, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(403)
			return
		}
		registry.ServeHTTP(w, r)
	}))
	absent := "sha256:" + strings.Repeat("0", 64)
	for _, test := range []struct {
		name, ref, digest string
		want              error
		says              string
	}{
		{"no such digest", host + "/acme/go:1", absent, reference.ErrNotFound, absent},
		{"not a tag", host + "/acme/go@" + absent, other.Digest, nil, "not a tag"},
		{"not a digest", host + "/acme/go:1", "sha256:short", nil, "sha256:short"},
		{"not a reference", host + "/Acme:1", other.Digest, nil, "/Acme:1"},
		{"forgotten", forgetful + "/acme/go:1", other.Digest, nil, before.Digest},
		{"forbidden", readOnly + "/acme/go:1", other.Digest, reference.ErrForbidden, "credentials: none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := c.Tag(t.Context(), test.ref, test.digest)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			mustContain(t, err, test.ref, test.says)
		})
	}
	if got, err := c.Resolve(t.Context(), host+"/acme/go:1"); err != nil || got != before {
		t.Errorf("the tag points to %v, %v; want %v as before", got, err, before)
	}
}

func platformImage(t *testing.T, arch string, labels map[string]string) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(mutate.MediaType(randomImage(t), types.OCIManifestSchema1), &v1.ConfigFile{
		OS: "linux", Architecture: arch, Config: v1.Config{Labels: labels},
	})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(image, types.OCIConfigJSON)
}

func writeIndex(t *testing.T, ref string, index v1.ImageIndex) Descriptor {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parsed, index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := index.Size()
	if err != nil {
		t.Fatal(err)
	}
	return Descriptor{Digest: digest.String(), MediaType: string(types.OCIImageIndex), Size: size}
}
