package release_test

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"

	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// Bases are locked once, found at their mirror, and named by digest, so that
// no engine takes another image of the tag.
func TestBases(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(fake.New())
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	client := registry.New(registry.Config{Retries: -1})
	path := filepath.Join(t.TempDir(), "rtbuild.lock")
	open := func(mode release.LockMode) *release.Bases {
		t.Helper()
		lock, err := lockfile.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return release.NewBases(lock, release.NewMirrors(client, map[string]string{"docker.io": host + "/hub", "docker.io/gone": host + "/gone"}), client, mode)
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
}
