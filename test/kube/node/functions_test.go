package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// python are flags of a Python function's deployment: its file, and what comes
// with it.
func python(file string, flags ...string) []string {
	module := strings.TrimSuffix(filepath.Base(file), ".py")
	return append([]string{"--runtime", "python3.13", "--handler", module + ".handler", "--from-file", filepath.Join(os.Getenv("RTBUILD_ROOT"), "stable/python", file)}, flags...)
}

// written is a file of a test's own.
func written(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFunctions has a version that cannot be loaded taken back, and one whose
// dependencies cannot be installed, with the reason; what is deleted leaves
// nothing.
func TestFunctions(t *testing.T) {
	d := deployed{namespace(t, restricted())}
	d.must(t, "deploy", append([]string{"hello"}, python("examples/helloget.py")...)...)
	d.answers(t, "hello", "hello world")
	broken := python("contract/broken.py")
	d.fails(t, []string{"SyntaxError"}, "update", append([]string{"hello"}, broken[4:]...)...)
	d.answers(t, "hello", "hello world")
	d.fails(t, []string{"SyntaxError"}, "deploy", append([]string{"broken"}, broken...)...)
	missing := python("examples/helloget.py", "--dependencies", written(t, "requirements.txt", "no-such-package-of-rtbuild==1\n"))
	d.fails(t, []string{"install: ended with exit code 1", "No matching distribution found"}, "deploy", append([]string{"missing"}, missing...)...)
	d.must(t, "delete", "hello")
	d.empty(t)
}

// TestRefused deploys what the cluster does not run: the error says why, and
// nothing is left.
func TestRefused(t *testing.T) {
	d := deployed{namespace(t, restricted())}
	hello := append([]string{"hello"}, python("examples/helloget.py")...)
	// An image from where nobody serves any.
	d.fails(t, []string{"ImagePullBackOff", "event Failed: ", "connection refused"}, "deploy", append(hello, "--registry", "127.0.0.1:1")...)
	d.empty(t)

	apply(t, object{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": object{"name": "none", "namespace": d.namespace}, "spec": object{"hard": object{"pods": "0"}}})
	d.fails(t, []string{"exceeded quota: none"}, "deploy", hello...)
	d.empty(t)

	// A Service of somebody else is not taken over.
	apply(t, object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": "hello", "namespace": d.namespace}, "spec": object{"ports": []object{{"port": 80}}}})
	d.fails(t, []string{"has a service hello that is no function"}, "deploy", hello...)
	if port := kubectl(t, nil, "get", "service", "hello", "--namespace", d.namespace, "--output=jsonpath={.spec.ports[0].port}"); string(port) != "80" {
		t.Errorf("the other's Service has port %s now", port)
	}
}

// TestImage puts a function into an image of its own, since its source is larger
// than a ConfigMap: it is installed here, and nothing is prepared in the cluster.
func TestImage(t *testing.T) {
	d := deployed{namespace(t, restricted())}
	folder := t.TempDir()
	write := func(word string) {
		t.Helper()
		for name, content := range map[string]string{
			"large.py":         "import markdown\n\ndef handler(event, context):\n    return markdown.markdown('" + word + "') + open('/kubeless/data').read()[-4:]\n",
			"data":             strings.Repeat("x", 3<<20) + "last",
			"requirements.txt": source(t, "stable/python/examples/requirements.txt"),
		} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("one")
	deploy := []string{"large", "--runtime", "python3.13", "--handler", "large.handler", "--from-file", folder}
	d.fails(t, []string{"a ConfigMap takes", "--image REPOSITORY"}, "deploy", deploy...)
	d.empty(t)
	d.must(t, "deploy", append(deploy, "--image", "local/functions/large")...)
	d.answers(t, "large", "<p>one</p>last")
	if phases := kubectl(t, nil, "get", "deployment", "large", "--namespace", d.namespace, "--output=jsonpath={.spec.template.spec.initContainers}"); len(phases) > 0 {
		t.Errorf("it is prepared in the cluster: %s", phases)
	}
	image := func() string {
		return string(kubectl(t, nil, "get", "deployment", "large", "--namespace", d.namespace, "--output=jsonpath={.spec.template.spec.containers[0].image}"))
	}
	first := image()
	if !strings.Contains(first, "/functions/large@sha256:") {
		t.Errorf("it runs %s", first)
	}
	d.fails(t, []string{"is in an image", "--from-file"}, "update", "large", "--env", "A=b")
	d.must(t, "update", "large", "--from-file", folder, "--env", "A=b")
	if again := image(); again != first {
		t.Errorf("the same source is another image: %s, was %s", again, first)
	}
	write("two")
	d.must(t, "update", "large", "--from-file", folder)
	d.answers(t, "large", "<p>two</p>last")
	d.must(t, "delete", "large")
	d.empty(t)
}

// TestTemporaryFolder has a function make a folder of its own in /tmp: Ruby does
// so only where others cannot remove it.
func TestTemporaryFolder(t *testing.T) {
	d := deployed{namespace(t, restricted())}
	file := written(t, "folder.rb", "require 'tmpdir'\n\ndef handler(event, context)\n  Dir.mktmpdir { |folder| folder }\nend\n")
	d.must(t, "deploy", "folder", "--runtime", "ruby3.3", "--handler", "folder.handler", "--from-file", file)
	d.answers(t, "folder", "/tmp/d")
	d.must(t, "delete", "folder")
}
