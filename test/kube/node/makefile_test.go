package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMakefile deploys, calls, updates and ends the examples of a runtime by its
// Makefile, as make deploy test does on Docker. Of this runtime, the names of
// functions are not its own: Kubernetes' have no underscores.
func TestMakefile(t *testing.T) {
	ns := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	root := os.Getenv("RTBUILD_ROOT")
	run := func(goals ...string) string {
		t.Helper()
		out, err := command(nil, "make", append([]string{
			"-j3", "-C", filepath.Join(root, "incubator/nodejs_distroless"), "NAMESPACE=" + ns, "RTBUILD=" + os.Getenv("RTBUILD_BIN"),
			"FUNCTION=" + os.Getenv("RTBUILD_BIN") + " --registry local function --target kubernetes",
		}, goals...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	for range 2 {
		out := run("deploy", "test")
		if strings.Contains(out, "rtbuild build") || !strings.Contains(out, "<h1>hello world</h1>") {
			t.Errorf("make deploy test printed\n%s", out)
		}
	}
	deployments := string(kubectl(t, nil, "get", "deployments", "--namespace", ns, "--output=name"))
	if want := "deployment.apps/get-nodejs-distroless\ndeployment.apps/get-nodejs-distroless-deps\ndeployment.apps/post-nodejs-distroless\n"; deployments != want {
		t.Errorf("deployed are\n%swant\n%s", deployments, want)
	}
	kubectl(t, nil, "delete", "deployment", "post-nodejs-distroless", "--namespace", ns)
	run("undeploy")
	if left := strings.TrimSpace(string(kubectl(t, nil, "get", "deployments", "--namespace", ns, "--output=name"))); left != "" {
		t.Errorf("left are\n%s", left)
	}
}
