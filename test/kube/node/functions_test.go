package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFunctions deploys with rtbuild's own command, where Pods must be restricted:
// dependencies are installed, a version that cannot be loaded is taken back, and
// what is deleted leaves nothing.
func TestFunctions(t *testing.T) {
	ns := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	folder := filepath.Join(os.Getenv("RTBUILD_ROOT"), "stable/python")
	run := func(command string, args ...string) (string, error) {
		out, err := rtbuild(append([]string{"function", command, "--target", "kubernetes", "--namespace", ns}, args...)...)
		return string(out), err
	}
	must := func(command string, args ...string) string {
		t.Helper()
		out, err := run(command, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("deploy", "deps", "--runtime", "python3.13", "--handler", "hellowithdeps.handler",
		"--from-file", folder+"/examples/hellowithdeps.py", "--dependencies", folder+"/examples/requirements.txt")
	if out := must("call", "deps"); !strings.Contains(out, "hello world") {
		t.Errorf("answered %q", out)
	}
	if _, err := run("update", "deps", "--from-file", folder+"/contract/broken.py"); err == nil || !strings.Contains(err.Error(), "SyntaxError") {
		t.Errorf("a version that cannot be loaded: %v", err)
	}
	if out := must("call", "deps"); !strings.Contains(out, "hello world") {
		t.Errorf("answered %q after a failed update", out)
	}
	if _, err := run("deploy", "broken", "--runtime", "python3.13", "--handler", "broken.handler", "--from-file", folder+"/contract/broken.py"); err == nil {
		t.Error("a function that cannot be loaded is deployed")
	}
	must("delete", "deps")
	if out := string(kubectl(t, nil, "get", "deployments,services,configmaps", "--namespace", ns, "--output=name")); strings.Trim(out, "\n") != "configmap/kube-root-ca.crt" {
		t.Errorf("left are\n%s", out)
	}
}
