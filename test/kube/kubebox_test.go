package kube_test

import (
	"strings"
	"syscall"
	"testing"
)

// TestKubebox checks the server itself, without rtbuild. That the end of stdin
// stops it is checked after every test, by startCluster.
func TestKubebox(t *testing.T) {
	c := startCluster(t)

	version := string(c.mustKubectl(t, nil, "version"))
	if count := strings.Count(version, "v1.32.5"); count != 2 {
		t.Errorf("kubectl version names v1.32.5 %d times, want twice, for the client and the server:\n%s", count, version)
	}

	_, err := c.kubectl(nil, "--token", "wrong", "get", "namespaces")
	if err == nil || !strings.Contains(err.Error(), "must be logged in") {
		t.Errorf("a wrong token: got %v, want a refusal", err)
	}

	// stdin stays open: the signal alone must do.
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: got %v, want exit code 0", err)
	}
}
