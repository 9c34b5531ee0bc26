//go:build e2e

package runtime

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// TestFunctionImage deploys a function in an image of its own: that is what runs,
// and an update puts what is new into another one.
func TestFunctionImage(t *testing.T) {
	t.Parallel()
	var images []string
	t.Cleanup(func() { // when the function is gone
		dockerCommand(t, append([]string{"image", "rm", "--force"}, images...)...)
	})
	p := newPlace(t)
	registry := harness.Registry(t, harness.RegistryConfig{})
	for _, image := range []string{"kubeless/python:3.13", "kubeless/python-init:3.13"} {
		there := registry + "/" + image
		images = append(images, there)
		dockerCommand(t, "tag", image, there)
		dockerCommand(t, "push", "--quiet", there)
	}
	p.write("f/requirements.txt", "markdown==3.7\n")
	in := func(command, word string) {
		p.write("f/f.py", "import markdown, os\ndef handler(event, context):\n    return markdown.markdown('"+word+"') + os.environ.get('A', '')\n")
		p.must(command, "own", "--registry", registry, "--runtime", "python3.13", "--handler", "f.handler",
			"--from-file", filepath.Join(p.folder, "f"), "--image", registry+"/functions/own")
	}
	imageOf := func() string {
		server := dockerCommand(t, "ps", "--quiet", "--filter", "label=dev.rtbuild.namespace="+p.namespace, "--filter", "label=dev.rtbuild.part=server")
		image := dockerCommand(t, "inspect", "--format", "{{.Image}}", server)
		images = append(images, image)
		return image
	}
	in("deploy", "one")
	p.answers("own", "<p>one</p>")
	first := imageOf()
	if digests := dockerCommand(t, "image", "inspect", "--format", "{{.RepoDigests}}", first); !strings.Contains(digests, registry+"/functions/own@sha256:") {
		t.Errorf("it runs in %s", digests)
	}
	p.fails(2, []string{"is in an image", "--from-file"}, "update", "own", "--env", "A=b", "--registry", registry)
	in("update", "two")
	p.answers("own", "<p>two</p>")
	if imageOf() == first {
		t.Error("another source is in the same image")
	}
}
