//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// docker runs the client and returns what it prints on stdout.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// In a container, the proxy is PID 1, unprivileged, on a read-only file system
// and short of memory, processes and space: whatever the function does, it
// recovers, and ends in order.
func TestInAContainer(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "proxy"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	recipe := "FROM scratch\nCOPY proxy /proxy\nUSER 1000\nCMD [\"/proxy\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	tag := fmt.Sprintf("rtbuild-proxy-test:%d", os.Getpid())
	docker(t, "build", "-q", "-t", tag, dir)
	t.Cleanup(func() { docker(t, "rmi", "-f", tag) })
	for _, concurrency := range []string{"", "8"} {
		t.Run("concurrency "+concurrency, func(t *testing.T) {
			id := docker(t, "run", "-d", "--read-only", "--tmpfs", "/tmp:size=4m,mode=1777", "--pids-limit", "100",
				"--memory", "128m", "-p", "127.0.0.1::8080", "-e", "TEST_ROLE=proxy", "-e", "FUNC_UPSTREAM=unix",
				"-e", "FUNC_PROCESS=/proxy", "-e", "FUNC_TIMEOUT=3", "-e", "TEST_CONCURRENCY="+concurrency, tag)
			t.Cleanup(func() { docker(t, "rm", "-f", id) })
			p := attach(t, "http://"+docker(t, "port", id, "8080/tcp")).ready()
			for path, status := range map[string]int{"/full": 200, "/exit": 500, "/segv": 500, "/memory": 500, "/bomb": 408} {
				p.get(path).want(t, status)
				p.eventually("recovery from "+path, func() bool { return p.status("/") == 200 })
			}
			p.ready()
			docker(t, "stop", "-t", "20", id)
			if code := docker(t, "inspect", "-f", "{{.State.ExitCode}}", id); code != "0" {
				t.Errorf("exit code %s", code)
			}
		})
	}
}

// attach is a proxy that runs already.
func attach(t *testing.T, url string) *proxy {
	p := &proxy{t: t, url: url, client: newClient()}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}
