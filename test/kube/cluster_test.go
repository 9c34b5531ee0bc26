// Package kube_test applies what rtbuild prints to a real Kubernetes API
// server. README.md tells how to run it.
package kube_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A cluster is a running API server with an etcd of its own, both empty at
// first. There is no controller and no node: objects are checked and stored,
// nothing else happens to them.
type cluster struct {
	binary string
	dir    string
	stdin  io.Closer
	cmd    *exec.Cmd
}

// startCluster starts a server of the test's own and stops it when the test
// ends.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{binary: kubebox(t), dir: t.TempDir()}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c.cmd = exec.Command(c.binary, "serve", "--dir", c.dir)
	c.cmd.Stderr = log
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("starting kubebox: %v", err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Errorf("stopping kubebox: %v; the end of its log:\n%s", err, tail(log.Name(), 20))
		}
		log.Close()
	})
	// kubebox bounds its own start, so the line or the end comes.
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("kubebox printed %q instead of ready: %v; the end of its log:\n%s", line, err, tail(log.Name(), 20))
	}
	return c
}

// stop ends the server as its parent's death would, by the end of stdin. To
// stop a stopped server does nothing.
func (c *cluster) stop() error {
	if c.cmd.ProcessState != nil {
		return nil
	}
	c.stdin.Close()
	return c.cmd.Wait()
}

// kubectl runs kubectl with input on stdin and returns its stdout. A failure is
// an error with its stderr.
func (c *cluster) kubectl(input []byte, args ...string) ([]byte, error) {
	cmd := exec.Command(c.binary, append([]string{"kubectl"}, args...)...)
	// Nothing of the caller's own clusters, settings and plugins.
	cmd.Env = []string{"HOME=" + c.dir, "KUBECONFIG=" + filepath.Join(c.dir, "kubeconfig")}
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// mustKubectl is kubectl where a failure is the test's.
func (c *cluster) mustKubectl(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	output, err := c.kubectl(input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// kubebox is the path of the kubebox binary: $RTBUILD_KUBEBOX, else the one
// that build.sh has built from these sources.
func kubebox(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("RTBUILD_KUBEBOX"); path != "" {
		return absolute(t, path)
	}
	cmd := exec.Command("./build.sh", "--cached")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("finding kubebox: %v: %s", err, stderr.Bytes())
	}
	return strings.TrimSpace(string(path))
}

// absolute makes a path from the environment absolute, because commands may
// run in other folders.
func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tail is the last lines of a file.
func tail(path string, count int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
