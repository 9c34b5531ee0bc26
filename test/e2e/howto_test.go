//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// Two engines build the parts of a matrix, and one command releases them.
func TestHowToSeveralBuilders(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	root := clone(t, small(t))
	harness.Follow(t, "../../docs/how-to/several-builders.md", 3, root, "RTBUILD_REGISTRY="+host)
	manifest := harness.Read(t, filepath.Join(root, "stable/web/web.jsonnet"))
	for _, tag := range []string{"1", "2"} {
		digest := harness.DigestAt(t, host+"/acme/web:"+tag)
		if digest == "" || !strings.Contains(manifest, digest) {
			t.Errorf("web:%s is %q at the registry, and the manifest is\n%s", tag, digest, manifest)
		}
	}
	if reports, err := filepath.Glob(filepath.Join(root, "reports/*.json")); err != nil || len(reports) < 2 {
		t.Errorf("reports %q, %v", reports, err)
	}
}

// A registry with an authority of its own and a login is set up and released to.
func TestHowToPrivateRegistry(t *testing.T) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address(t).String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	trust := filepath.Join("/etc/docker/certs.d", host)
	t.Cleanup(func() {
		if err := os.RemoveAll(trust); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(trust)) // if nobody else has something there
	})
	root := clone(t, small(t))
	harness.Follow(t, "../../docs/how-to/private-registry.md", 2, root, "REGISTRY="+host, "HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir(), "RTBUILD_BUILDER=docker://")
	images := imagesOf(t, harness.Read(t, filepath.Join(root, "configmap.yaml")))
	if len(images) != 2 || !strings.HasPrefix(images[0], host+"/functions/acme/web:1@sha256:") {
		t.Errorf("released %q", images)
	}
}

// Base images are copied to a mirror by what the lock file says, and images built
// where nothing else is.
func TestHowToAirGapped(t *testing.T) {
	const builder = "docker"
	outside := destinationOf(harness.Registry(t, harness.RegistryConfig{}), "hub")
	inside := harness.Registry(t, harness.RegistryConfig{}) + "/hub"
	hub(t, builder, outside, "debian:trixie-slim")
	tree := small(t)
	harness.Write(t, filepath.Join(tree, "stable/web/Dockerfile.2"), "FROM debian:trixie-slim\nCOPY sh /bin/\n")
	root, home, medium := clone(t, tree), t.TempDir(), t.TempDir()
	// Docker Hub is where these say, for rtbuild on this side and for skopeo.
	harness.Write(t, filepath.Join(root, ".rtbuild/settings.yaml"), "mirrors: {docker.io: "+outside+"}\n")
	registries := filepath.Join(home, ".config/containers/registries.conf")
	harness.Write(t, registries, fmt.Sprintf("[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n\n[[registry]]\nlocation = %q\ninsecure = true\n", outside, inside))
	harness.Follow(t, "../../docs/how-to/air-gapped.md", 2, root,
		"MEDIUM="+medium, "MIRROR="+inside, "HOME="+home, "RTBUILD_BUILDER="+builder)
	if was, is := harness.DigestAt(t, outside+"/library/debian:trixie-slim"), harness.DigestAt(t, inside+"/library/debian:trixie-slim"); is != was || was == "" {
		t.Errorf("the mirror has %q, and Docker Hub %q", is, was)
	}
	if lock := harness.Read(t, filepath.Join(home, "runtimes/rtbuild.lock")); lock != harness.Read(t, filepath.Join(root, "rtbuild.lock")) {
		t.Errorf("the lock file is another one inside:\n%s", lock)
	}
}

// A fork of kubeless/runtimes comes to be released by rtbuild, to a registry with a
// login. What it does not build any more stays as it is pinned.
func TestHowToMigrate(t *testing.T) {
	const builder = "docker"
	mirror := destinationOf(harness.Registry(t, harness.RegistryConfig{}), "hub")
	hub(t, builder, mirror, "debian:buster-slim", "golang:1.13", "golang:1.14", "python:3.8", "ruby:2.6")
	fork := t.TempDir()
	if err := os.CopyFS(fork, os.DirFS("testdata/fork")); err != nil {
		t.Fatal(err)
	}
	root := clone(t, fork)
	harness.Write(t, filepath.Join(root, ".rtbuild/settings.yaml"), "mirrors: {docker.io: "+mirror+"}\n")
	registry := withLogin(t) + "/you"
	harness.Follow(t, "../../docs/how-to/migrate.md", 7, root,
		"REGISTRY="+registry, "PASSWORD=secret", "HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir(), "REGISTRY_AUTH_FILE=", "RTBUILD_BUILDER="+builder)

	var built, kept []string
	for _, image := range imagesOf(t, harness.Read(t, filepath.Join(root, "configmap.yaml"))) {
		name, digest, _ := strings.Cut(image, "@")
		if own, ok := strings.CutPrefix(name, registry+"/"); !ok {
			kept = append(kept, image)
		} else if built = append(built, own); harness.DigestAt(t, image) != digest {
			t.Errorf("the registry does not have %s", image)
		}
	}
	if want := "[kubeless/go-init kubeless/go kubeless/go-init kubeless/go kubeless/python kubeless/ruby-init:2.6 kubeless/ruby:2.6]"; fmt.Sprint(built) != want {
		t.Errorf("released are %s, want %s", built, want)
	}
	if want := 3; len(kept) != want || !strings.HasPrefix(kept[1], "kubeless/python@sha256:0272") {
		t.Errorf("kept are %q, want %d", kept, want)
	}
	for _, manifest := range []string{"stable/go/go.jsonnet", "stable/python/python.jsonnet", "incubator/ruby/ruby.jsonnet"} {
		before, after := harness.Read(t, filepath.Join(fork, manifest)), harness.Read(t, filepath.Join(root, manifest))
		if after == before || digests.ReplaceAllString(after, "") != digests.ReplaceAllString(before, "") {
			t.Errorf("more than digests changed, or nothing:\n%s", after)
		}
	}
}

// hub puts an image of each name into a mirror of Docker Hub.
func hub(t *testing.T, builder, mirror string, images ...string) {
	t.Helper()
	tree, settings := t.TempDir(), "images:\n"
	for i, image := range images {
		name, tag, _ := strings.Cut(image, ":")
		folder := fmt.Sprintf("base-%d", i)
		settings += fmt.Sprintf("- {name: %[1]s, folder: %[1]s, repository: library/%[2]s, tag: %[3]s}\n", folder, name, tag)
		harness.Write(t, filepath.Join(tree, folder, "Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n")
	}
	harness.Write(t, filepath.Join(tree, "runtimes.jsonnet"), "[]\n")
	harness.Write(t, filepath.Join(tree, "rtbuild.yaml"), settings)
	harness.Want(t, 0, tree, "build", "--push", "--builder", builder, "--registry", mirror)
}
