package release_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

func mustLoad(t *testing.T, path string) *lockfile.File {
	t.Helper()
	lock, err := lockfile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// Bases are locked once, found at their mirror, and named by digest, so that
// no engine takes another image of the tag.
func TestBases(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	client := registry.New(registry.Config{Retries: -1})
	path := filepath.Join(t.TempDir(), "rtbuild.lock")
	open := func(mode release.LockMode) *release.Bases {
		t.Helper()
		return release.NewBases(mustLoad(t, path), release.NewMirrors(client, map[string]string{"docker.io": host + "/hub", "docker.io/gone": host + "/gone"}), client, mode)
	}
	debian := reference.MustParse("debian:sid")
	locked := push(t, host+"/hub/library/debian:sid")
	bases := open(release.LockAdd)
	digest, err := bases.Digest(t.Context(), debian)
	if err != nil || digest != locked {
		t.Fatalf("digest %s, %v; want %s", digest, err, locked)
	}
	if err := bases.Save(); err != nil {
		t.Fatal(err)
	}

	push(t, host+"/hub/library/debian:sid") // the tag moves
	bases = open(release.LockStrict)
	if digest, err = bases.Digest(t.Context(), debian); err != nil || digest != locked {
		t.Errorf("after the tag moved: digest %s, %v; want %s", digest, err, locked)
	}
	where, err := bases.Locate(t.Context(), debian, digest)
	if want := host + "/hub/library/debian@" + locked; err != nil || where != want {
		t.Errorf("found at %s, %v; want %s", where, err, want)
	}

	// A mirror that lacks an image leaves it where its reference says.
	there := push(t, host+"/acme/base:1")
	where, err = bases.Locate(t.Context(), reference.MustParse(host+"/acme/base:1"), there)
	if want := host + "/acme/base@" + there; err != nil || where != want {
		t.Errorf("found at %s, %v; want %s", where, err, want)
	}

	// What --locked does not know, and what is gone, says what to do.
	if _, err := bases.Digest(t.Context(), reference.MustParse("debian:trixie")); err == nil || !strings.Contains(err.Error(), "run rtbuild lock") {
		t.Errorf("not locked: %v", err)
	}
	gone := "sha256:" + strings.Repeat("1", 64)
	if _, err := bases.Locate(t.Context(), reference.MustParse(host+"/acme/base:1"), gone); err == nil || !strings.Contains(err.Error(), "rtbuild lock --update "+host+"/acme/base:1") {
		t.Errorf("gone: %v", err)
	}
	mirrored := release.NewBases(mustLoad(t, path), release.NewMirrors(client, map[string]string{"127.0.0.1:1": host + "/other"}), client, release.LockAdd)
	if _, err := mirrored.Digest(t.Context(), reference.MustParse("127.0.0.1:1/acme/base:1")); err == nil || !strings.Contains(err.Error(), "its mirror was asked first, and has no "+host+"/other/acme/base:1") {
		t.Errorf("not at the mirror: %v", err)
	}
	if _, err := open(release.LockAdd).Digest(t.Context(), reference.MustParse("127.0.0.1:1/acme/base:1")); !errors.Is(err, reference.ErrUnreachable) || !strings.Contains(err.Error(), "--mirror 127.0.0.1:1=HOST") {
		t.Errorf("unreachable: %v", err)
	}
}

// What a base says is read once, of an image named by its digest as well, and then
// is in the lock file.
func TestBasesConfig(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	inner, requests := fake.New(fake.Logger(log.New(io.Discard, "", 0))), atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	want := baseimage.Config{Env: []string{"A=b"}, OnBuild: []string{"COPY . /app", "RUN make"}}
	image, err := mutate.Config(empty.Image, v1.Config{Env: want.Env, OnBuild: want.OnBuild})
	if err != nil {
		t.Fatal(err)
	}
	digest := write(t, host+"/hub/acme/base:1", image)
	path := filepath.Join(t.TempDir(), "rtbuild.lock")
	open := func(mode release.LockMode) *release.Bases {
		t.Helper()
		lock, err := lockfile.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		client := registry.New(registry.Config{Retries: -1})
		return release.NewBases(lock, release.NewMirrors(client, map[string]string{"docker.io": host + "/hub"}), client, mode)
	}
	ref := reference.MustParse("acme/base@" + digest)
	const amd64 = "linux/amd64"
	for _, test := range []struct {
		mode  release.LockMode
		asked bool
	}{{release.LockStrict, true}, {release.LockAdd, true}, {release.LockStrict, false}, {release.LockOffer, false}} {
		bases := open(test.mode)
		requests.Store(0)
		got, known, err := bases.Config(t.Context(), ref, digest, amd64)
		if err != nil || !known || !got.Equal(want) || requests.Load() > 0 != test.asked {
			t.Errorf("mode %d: %+v, %v, %v with %d requests", test.mode, got, known, err, requests.Load())
		}
		if err := bases.Save(); err != nil {
			t.Fatal(err)
		}
	}

	// What cannot be asked is an error, except where it is left to the engine.
	gone := "sha256:" + strings.Repeat("1", 64)
	tag := reference.MustParse(host + "/acme/base:1")
	if _, _, err := open(release.LockAdd).Config(t.Context(), tag, gone, amd64); err == nil || !strings.Contains(err.Error(), "rtbuild lock --update "+host+"/acme/base:1") {
		t.Errorf("gone: %v", err)
	}
	if got, known, err := open(release.LockOffer).Config(t.Context(), tag, gone, amd64); err != nil || known {
		t.Errorf("left to the engine: %+v, %v, %v", got, known, err)
	}

	// What images say is locked with them.
	bases := open(release.LockAdd)
	other := "acme/other@" + push(t, host+"/hub/acme/other:1")
	images := []release.BaseImage{{Ref: reference.MustParse(other)}}
	if changes, err := bases.Update(t.Context(), images, []string{amd64}, true, nil); err != nil || len(changes) > 0 {
		t.Errorf("changes %v, %v", changes, err)
	}
	if err := bases.Save(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(content), other[len("acme/other@"):]+":\n    linux/amd64:") {
		t.Errorf("the lock file is\n%s%v", content, err)
	}
}
