//go:build e2e

package e2e

import (
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
	follow(t, "how-to/several-builders.md", 3, root, "RTBUILD_REGISTRY="+host)
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
	follow(t, "how-to/private-registry.md", 2, root, "REGISTRY="+host, "HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir(), "RTBUILD_BUILDER=docker://")
	images := imagesOf(t, harness.Read(t, filepath.Join(root, "configmap.yaml")))
	if len(images) != 2 || !strings.HasPrefix(images[0], host+"/functions/acme/web:1@sha256:") {
		t.Errorf("released %q", images)
	}
}
