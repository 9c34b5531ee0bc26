package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// classicTree is a tree whose one runtime is a server from before there was
// /readyz. The node has its image, and no registry.
const classicTree = `[{
  ID: 'classic', depName: '', fileNameSuffix: '.py',
  versions: [{ name: 'classic1', version: '1', images: [{ phase: 'runtime', image: 'rtbuild.test/classic:1' }] }],
}]
`

// TestClassic runs a function in a server that answers /healthz alone, and takes
// any other path for a call: the cluster asks there, and calls nothing.
func TestClassic(t *testing.T) {
	const image = "rtbuild.test/classic:1"
	must := func(input []byte, name string, args ...string) []byte {
		t.Helper()
		out, err := command(input, name, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must(nil, "docker", "build", "--quiet", "--build-arg", "BASE=kubeless/python:3.13", "--tag", image, "../../../pkg/contract/testdata/classic")
	saved := must(nil, "docker", "save", image)
	must(nil, "docker", "rmi", image)
	socket := filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "../containerd.sock")
	must(saved, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", "-")

	ns, tree := namespace(t, restricted()), t.TempDir()
	for name, content := range map[string]string{
		"runtimes.jsonnet": classicTree,
		"calls.py":         "paths = []\n\ndef handler(event, context):\n    paths.append(event['extensions']['request'].path)\n    return ' '.join(paths)\n",
	} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	function := func(args ...string) string {
		t.Helper()
		return string(must(nil, os.Getenv("RTBUILD_BIN"), append([]string{"-C", tree, "function", "--target", "kubernetes", "--namespace", ns}, args...)...))
	}
	function("deploy", "calls", "--runtime", "classic1", "--handler", "calls.handler", "--from-file", filepath.Join(tree, "calls.py"), "--ready-path", "/healthz")
	// An update keeps the path.
	function("update", "calls", "--env", "A=b")
	if out := function("call", "calls"); strings.TrimSpace(out) != "/" {
		t.Errorf("it was called at %q, want / alone", out)
	}
	function("delete", "calls")
}
