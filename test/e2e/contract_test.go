//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// An image that breaks the contract is not released, in the run that built it
// and in the next, which finds it at the registry. A fixed one is. The image
// that it is built from is used by no runtime and is not run.
func TestVerifyRefuses(t *testing.T) {
	if !slices.Contains(harness.Builders(), "docker") {
		t.Skip("only a Docker engine runs containers")
	}
	host := harness.Registry(t, harness.RegistryConfig{})
	root := small(t)
	all := []string{"all", "--push", "--builder", "docker", "--registry", host, "--verify", "web:2"}
	r := harness.Want(t, 1, root, all...)
	if !strings.Contains(r.Stderr, "no contract functions") || harness.DigestAt(t, host+"/acme/web:2") != "" {
		t.Errorf("without contract functions:\n%s", harness.Tail(r.Stderr))
	}

	harness.Write(t, filepath.Join(root, "stable/web/contract/contract"), "not called: the image serves nothing\n")
	before := sources(t, root)
	for range 2 {
		r := harness.Want(t, 1, root, all...)
		for _, part := range []string{"web 2 breaks the contract", "nothing is pinned"} {
			if !strings.Contains(r.Stderr, part) {
				t.Errorf("stderr lacks %q:\n%s", part, harness.Tail(r.Stderr))
			}
		}
		if harness.DigestAt(t, host+"/acme/web:2") != "" {
			t.Error("an image that breaks the contract is released")
		}
		unchanged(t, root, before)
	}
}

// verify says of images that are not of today's sources that they are not, and
// verifies them all the same.
func TestVerifySaysOlder(t *testing.T) {
	if !slices.Contains(harness.Builders(), "docker") {
		t.Skip("only a Docker engine runs containers")
	}
	root := small(t)
	harness.Write(t, filepath.Join(root, "stable/web/contract/contract"), "not called: the image serves nothing\n")
	dest := "127.0.0.1:1/" + filepath.Base(t.TempDir())
	verify := []string{"verify", "web:2", "--check", "load", "--registry", dest}
	harness.Want(t, 0, root, "build", "--builder", "docker", "--registry", dest, "web:2")
	const warning = "is not made of today's sources: rtbuild build web:2 makes it anew"
	if r := harness.Want(t, 1, root, verify...); strings.Contains(r.Stderr, "today's sources") || !strings.Contains(r.Stderr, "breaks the contract") {
		t.Errorf("of today's sources:\n%s", harness.Tail(r.Stderr))
	}
	harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM scratch\nCOPY sh /bin/\nENV A=b\n")
	if r := harness.Want(t, 1, root, verify...); !strings.Contains(r.Stderr, warning) || !strings.Contains(r.Stderr, "breaks the contract") {
		t.Errorf("after a change:\n%s", harness.Tail(r.Stderr))
	}
}
