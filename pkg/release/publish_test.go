package release_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// push pushes an image of random content and returns its digest.
func push(t *testing.T, ref string) string {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, ref, image)
}

func write(t *testing.T, ref string, image v1.Image) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parsed, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// A publication moves two tags: acme/a:1, which exists, and acme/b:1, which
// does not, and pins both in a manifest.
type fixture struct {
	host, manifest   string
	client           *registry.Client
	oldA, newA, newB string
	outcomes         []build.Outcome
	pins             *pin.Patch
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no credentials of the machine
	server := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	f := &fixture{host: strings.TrimPrefix(server.URL, "http://"), client: registry.New(registry.Config{Retries: -1})}
	f.oldA = push(t, f.host+"/acme/a:1")
	f.newA = push(t, f.host+"/acme/a:1-content")
	f.newB = push(t, f.host+"/acme/b:1-content")
	root := t.TempDir()
	f.manifest = filepath.Join(root, "runtimes.jsonnet")
	source := "[{ ID: 'x', versions: [{ name: 'x', version: '1', images: [\n  { phase: 'compilation', image: 'acme/b:1', command: 'x' },\n  { phase: 'runtime', image: 'acme/a:1' },\n] }] }]\n"
	if err := os.WriteFile(f.manifest, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	var changes []pin.Change
	for i, image := range []struct{ name, digest, before string }{{"acme/a", f.newA, f.oldA}, {"acme/b", f.newB, ""}} {
		target := &discover.Target{Name: image.name, Repository: reference.MustParse(image.name), Tags: []string{"1"}}
		step := build.PreparedStep{Step: build.Step{Target: target}, Published: map[string]string{f.host + "/" + image.name + ":1": image.before}}
		f.outcomes = append(f.outcomes, build.Outcome{PreparedStep: step, Status: build.StatusBuilt, Digest: image.digest})
		changes = append(changes, pin.Change{Pointer: fmt.Sprintf("/0/versions/0/images/%d/image", 1-i), Digest: image.digest})
	}
	project, err := release.Open(t.Context(), jsonnet.New(), root, &config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if f.pins, err = project.Pin(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) publish(tagger release.Tagger) error {
	moves := release.Moves(f.host, f.outcomes)
	_, err := release.NewPublication(f.client, tagger, moves, f.pins).Publish(context.Background())
	return err
}

// state is what the tags point to and whether the manifest is pinned.
func (f *fixture) state(t *testing.T) (a, b string, pinned bool) {
	t.Helper()
	digest := func(ref string) string {
		descriptor, err := f.client.Resolve(t.Context(), ref)
		if err != nil {
			return ""
		}
		return descriptor.Digest
	}
	source, err := os.ReadFile(f.manifest)
	if err != nil {
		t.Fatal(err)
	}
	return digest(f.host + "/acme/a:1"), digest(f.host + "/acme/b:1"), strings.Contains(string(source), "sha256")
}

func TestPublish(t *testing.T) {
	f := newFixture(t)
	if err := f.publish(f.client); err != nil {
		t.Fatal(err)
	}
	if a, b, pinned := f.state(t); a != f.newA || b != f.newB || !pinned {
		t.Errorf("a is %s, b is %s, pinned %v", a, b, pinned)
	}
}

// A tag that somebody else moved since the run began: nothing is touched.
func TestPublishMovedTag(t *testing.T) {
	f := newFixture(t)
	theirs := push(t, f.host+"/acme/a:1")
	err := f.publish(f.client)
	if err == nil || !strings.Contains(err.Error(), "somebody else releases as well") || !strings.Contains(err.Error(), theirs) {
		t.Errorf("error %v", err)
	}
	if a, b, pinned := f.state(t); a != theirs || b != "" || pinned {
		t.Errorf("a is %s, b is %s, pinned %v", a, b, pinned)
	}
}

// Pins that cannot be written take the tags back.
func TestPublishUnwritable(t *testing.T) {
	f := newFixture(t)
	testfile.Unwritable(t, f.manifest)
	err := f.publish(f.client)
	if err == nil || !strings.Contains(err.Error(), "make it writable") || !strings.Contains(err.Error(), "acme/b:1 is new and stays") {
		t.Errorf("error %v", err)
	}
	if a, _, pinned := f.state(t); a != f.oldA || pinned {
		t.Errorf("a is %s, want it back at %s; pinned %v", a, f.oldA, pinned)
	}
}

// A registry that refuses one tag takes the others back.
func TestPublishRefused(t *testing.T) {
	f := newFixture(t)
	err := f.publish(refuse{Tagger: f.client, ref: f.host + "/acme/b:1"})
	if err == nil || !strings.Contains(err.Error(), "moving the tag "+f.host+"/acme/b:1") {
		t.Errorf("error %v", err)
	}
	if a, b, pinned := f.state(t); a != f.oldA || b != "" || pinned {
		t.Errorf("a is %s, b is %s, pinned %v", a, b, pinned)
	}
}

// refuse is a registry that lets one tag not be moved.
type refuse struct {
	release.Tagger
	ref string
}

func (r refuse) Tag(ctx context.Context, ref, digest string) error {
	if ref == r.ref {
		return reference.ErrForbidden
	}
	return r.Tagger.Tag(ctx, ref, digest)
}
