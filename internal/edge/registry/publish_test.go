package registry

import (
	"archive/tar"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// What is published is the base of the platform and one layer more, the same each
// time, and a layer that the registry has is not sent again.
func TestPublish(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	base := platformImage(t, "arm64", nil)
	writeIndex(t, host+"/acme/python:1", mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: platformImage(t, "amd64", nil), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: base, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}}))
	p := containers.Publication{
		Base: host + "/acme/python:1", Platform: "linux/arm64", Repository: host + "/functions/hello", Name: "hello", Folder: "/kubeless",
		Files: []function.File{
			{Name: "hello.py", Content: []byte("code")}, {Name: "lib/a/run", Content: []byte("x"), Executable: true}, {Name: "lib/link", Link: "a/run"},
		},
	}
	ref, err := New(Config{}).Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.NewDigest(ref)
	if err != nil || !strings.HasPrefix(ref, p.Repository+"@sha256:") {
		t.Fatalf("published as %s, %v", ref, err)
	}
	image, err := remote.Image(parsed)
	if err != nil {
		t.Fatal(err)
	}
	below, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != len(below)+1 {
		t.Fatalf("%d layers, %v; want one more than %d", len(layers), err, len(below))
	}
	want := []string{"kubeless/ 755 ", "kubeless/hello.py 644 code", "kubeless/lib/ 755 ", "kubeless/lib/a/ 755 ", "kubeless/lib/a/run 755 x", "kubeless/lib/link 777 a/run"}
	if got := entries(t, layers[len(layers)-1]); !slices.Equal(got, want) {
		t.Errorf("the layer has\n%q, want\n%q", got, want)
	}

	requests.take()
	again, err := New(Config{}).Publish(t.Context(), p)
	if err != nil || again != ref {
		t.Errorf("published again as %s, %v; want %s", again, err, ref)
	}
	for _, request := range requests.take() {
		if strings.HasPrefix(request, http.MethodPost) {
			t.Errorf("sent again: %s", request)
		}
	}
	p.Files[0].Content = []byte("other")
	if other, err := New(Config{}).Publish(t.Context(), p); err != nil || other == ref {
		t.Errorf("other files are published as %s, %v", other, err)
	}
	tags, err := remote.List(parsed.Context())
	if err != nil || len(tags) != 2 || !strings.HasPrefix(tags[0], "hello-") {
		t.Errorf("the tags are %v, %v; want one for each image", tags, err)
	}
}

// entries are those of a layer, each with its mode in octal digits and its
// content or where it leads to. All are of root and of one time.
func entries(t *testing.T, layer v1.Layer) (all []string) {
	t.Helper()
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s is of %d:%d and of %s", header.Name, header.Uid, header.Gid, header.ModTime)
		}
		all = append(all, strings.Join([]string{header.Name, strconv.FormatInt(header.Mode, 8), header.Linkname + string(text)}, " "))
	}
}

// What must not leave this machine is not published elsewhere, and where to push
// to is a repository.
func TestPublishRefuses(t *testing.T) {
	noCredentials(t)
	host, _ := startServer(t, newRegistry())
	write(t, host+"/acme/python:1", platformImage(t, "amd64", map[string]string{baseimage.LabelLocalOnly: "it holds certificates"}))
	for repository, want := range map[string]string{
		"registry.example/hello": "it holds certificates",
		host + "/hello:1":        "hello:1",
		host + "/Hello":          "Hello",
	} {
		_, err := New(Config{}).Publish(t.Context(), containers.Publication{Base: host + "/acme/python:1", Platform: "linux/amd64", Repository: repository, Name: "hello", Folder: "/kubeless"})
		if err == nil {
			t.Errorf("%s: published", repository)
			continue
		}
		mustContain(t, err, repository, want)
	}
}
