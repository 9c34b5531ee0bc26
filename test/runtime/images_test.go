//go:build e2e

package runtime

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// TestImages holds what all runtime images have in common.
func TestImages(t *testing.T) {
	_, tree := ownTree(t)
	for _, r := range tree.Runtimes {
		for _, v := range r.Versions {
			for _, image := range v.Images {
				ref := reference(image)
				t.Run(r.ID+v.Version+"/"+string(image.Phase), func(t *testing.T) {
					t.Parallel()
					testConfig(t, ref, image.Phase == manifest.RuntimePhase)
					testFiles(t, ref, image.Phase == manifest.RuntimePhase)
				})
			}
		}
	}
}

// ownTree is this repository and its manifests.
func ownTree(t *testing.T) (root string, tree *manifest.Tree) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if tree, err = manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root}); err != nil {
		t.Fatal(err)
	}
	return root, tree
}

// testConfig wants the labels of OCI, no root, and no HEALTHCHECK: probes are
// the cluster's.
func testConfig(t *testing.T, ref string, serves bool) {
	var config struct {
		User        string
		Labels      map[string]string
		Healthcheck *struct{ Test []string }
		Cmd         []string
	}
	if err := json.Unmarshal([]byte(dockerCommand(t, "image", "inspect", "-f", "{{json .Config}}", ref)), &config); err != nil {
		t.Fatal(err)
	}
	if config.User != "1000" {
		t.Errorf("it runs as %q, want 1000", config.User)
	}
	for _, label := range []string{"title", "description", "source", "licenses"} {
		if config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("it lacks the label org.opencontainers.image.%s", label)
		}
	}
	if check := config.Healthcheck; check != nil && (len(check.Test) != 1 || check.Test[0] != "NONE") {
		t.Errorf("it has a HEALTHCHECK: %v", check.Test)
	}
	if serves && len(config.Cmd) == 0 {
		t.Error("it has no command")
	}
}

var (
	// What apt leaves in an image that is not cleaned up.
	caches = regexp.MustCompile(`^(var/lib/apt/lists/.*[^/]|var/cache/apt/.*\.(bin|deb)|root/\.(cache|npm|m2)/.*)$`)
	// Compilers and package tools, which a runtime image has no use for. apt
	// and dpkg are Debian's own.
	tools = regexp.MustCompile(`^(usr/)?(local/)?bin/(gcc|cc|g\+\+|make|go|javac|mvn|pip3?|npm|npx|gem|bundler?|rake|composer)$`)
)

func testFiles(t *testing.T, ref string, serves bool) {
	container := dockerCommand(t, "create", ref, "none")
	defer dockerCommand(t, "rm", container)
	export := exec.CommandContext(t.Context(), "docker", "export", container)
	output, err := export.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Start(); err != nil {
		t.Fatal(err)
	}
	files := 0
	for archive := tar.NewReader(output); ; files++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean(header.Name)
		if caches.MatchString(name) && header.Typeflag == tar.TypeReg && header.Size > 0 {
			t.Errorf("it holds a cache: %s", name)
		}
		if serves && tools.MatchString(name) {
			t.Errorf("it holds a tool: %s", name)
		}
	}
	if err := export.Wait(); err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files were looked at", files)
	}
}

func dockerCommand(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}
