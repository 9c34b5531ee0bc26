//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An image that breaks the contract is not released, in the run that built it
// and in the next, which finds it at the registry. A fixed one is. The image
// that it is built from feeds no runtime and is not run.
func TestVerifyRefuses(t *testing.T) {
	if !slices.Contains(builders(), "docker") {
		t.Skip("only a Docker engine runs containers")
	}
	host := registry(t)
	root := small(t)
	all := []string{"all", "--push", "--builder", "docker", "--registry", host, "--verify", "web:2"}
	r := want(t, 1, root, all...)
	if !strings.Contains(r.stderr, "no contract functions") || digestAt(t, host+"/acme/web:2") != "" {
		t.Errorf("without contract functions:\n%s", tail(r.stderr))
	}

	write(t, filepath.Join(root, "stable/web/contract/contract"), "not called: the image serves nothing\n")
	before := sources(t, root)
	for range 2 {
		r := want(t, 1, root, all...)
		for _, part := range []string{"web 2 breaks the contract", "nothing is pinned"} {
			if !strings.Contains(r.stderr, part) {
				t.Errorf("stderr lacks %q:\n%s", part, tail(r.stderr))
			}
		}
		if digestAt(t, host+"/acme/web:2") != "" {
			t.Error("an image that breaks the contract is released")
		}
		unchanged(t, root, before)
	}
}
