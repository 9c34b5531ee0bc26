package kube_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestNewCluster shows what --namespace-object is for, and that no dry run can
// work for the first apply.
func TestNewCluster(t *testing.T) {
	c := startCluster(t)
	alone, both := printed(t), printed(t, "--namespace-object")

	// A dry run stores no Namespace, so to the ConfigMap after it there is none.
	for _, attempt := range []struct {
		name  string
		input []byte
		flag  string
	}{
		{"dry run of the ConfigMap", alone, "--dry-run=server"},
		{"dry run of the Namespace and the ConfigMap", both, "--dry-run=server"},
		{"the ConfigMap", alone, "--dry-run=none"},
	} {
		_, err := c.kubectl(attempt.input, "apply", attempt.flag, "-f", "-")
		if err == nil || !strings.Contains(err.Error(), "(NotFound)") {
			t.Errorf("%s: got %v, want NotFound", attempt.name, err)
		}
	}

	c.mustKubectl(t, both, "apply", "-f", "-")
	c.mustKubectl(t, alone, "apply", "--dry-run=server", "-f", "-")
	c.mustKubectl(t, both, "apply", "--dry-run=server", "-f", "-")
}

// TestApplyTwice shows that what did not change is no change to the cluster
// either, in whichever format it is printed.
func TestApplyTwice(t *testing.T) {
	for _, mode := range []string{"--server-side=false", "--server-side=true"} {
		t.Run(mode, func(t *testing.T) {
			c := startCluster(t)
			c.mustKubectl(t, printed(t, "--namespace-object"), "apply", mode, "-f", "-")
			first := c.live(t)
			for _, flags := range [][]string{{"--namespace-object"}, nil, {"--output", "json"}} {
				c.mustKubectl(t, printed(t, flags...), "apply", mode, "-f", "-")
				if again := c.live(t).Metadata.ResourceVersion; again != first.Metadata.ResourceVersion {
					t.Errorf("rtbuild configmap %v applied over itself: resourceVersion %s, was %s",
						flags, again, first.Metadata.ResourceVersion)
				}
			}
		})
	}
}

func TestStoredData(t *testing.T) {
	c := startCluster(t)
	c.mustKubectl(t, printed(t, "--namespace-object"), "apply", "-f", "-")
	data := c.live(t).Data

	// The keys that the controller and its manifest read; a missing one fails
	// the controller's start or its first function.
	for _, key := range []string{
		"builder-image",
		"builder-image-secret",
		"deployment",
		"enable-build-step",
		"function-registry-tls-verify",
		"ingress-enabled",
		"provision-image",
		"provision-image-secret",
		"runtime-images",
		"service-type",
	} {
		if _, found := data[key]; !found {
			t.Errorf("the stored ConfigMap has no key %s", key)
		}
	}
	want := decodeConfigMap(t, printed(t, "--output", "json")).Data
	if !maps.Equal(data, want) {
		t.Errorf("the stored data differs from the printed:\nstored  %q\nprinted %q", data, want)
	}
	t.Run("as the controller reads it", func(t *testing.T) { checkRuntimeImages(t, data["runtime-images"]) })
}

// TestOnlyRuntimeImages shows why "--only runtime-images" comes with a warning
// and which command is safe.
func TestOnlyRuntimeImages(t *testing.T) {
	c := startCluster(t)
	c.mustKubectl(t, printed(t, "--namespace-object"), "apply", "-f", "-")
	full := c.live(t)

	only, diagnostics := rtbuild(t, "configmap", "--only", "runtime-images")
	if !bytes.Contains(diagnostics, []byte("warning:")) {
		t.Errorf("rtbuild configmap --only runtime-images printed no warning on stderr:\n%s", diagnostics)
	}
	c.mustKubectl(t, only, "patch", "configmap", full.Metadata.Name, "--namespace", full.Metadata.Namespace,
		"--type", "merge", "--patch-file", "/dev/stdin")
	if got := c.live(t).Data; !maps.Equal(got, full.Data) {
		t.Errorf("kubectl patch changed the data:\ngot  %q\nwant %q", got, full.Data)
	}
	c.mustKubectl(t, only, "apply", "-f", "-")
	if keys := slices.Sorted(maps.Keys(c.live(t).Data)); !slices.Equal(keys, []string{"runtime-images"}) {
		t.Errorf("kubectl apply left the keys %q, want runtime-images alone: is the warning still true?", keys)
	}
}
