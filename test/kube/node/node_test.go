// Package node_test runs functions as Pods of a real node. README.md of the
// folder above tells how to run it.
package node_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience bounds what a cluster does by itself: all of it takes seconds, on a
// machine that is busy with other things longer.
const patience = 2 * time.Minute

// TestMain serves the registry that the tree's images were pushed to, which the
// node pulls from.
func TestMain(m *testing.M) { os.Exit(withRegistry(m.Run)) }

func withRegistry(run func() int) int {
	for _, name := range []string{"RTBUILD_BIN", "RTBUILD_ROOT", "KUBECONFIG"} {
		if os.Getenv(name) == "" {
			fmt.Fprintf(os.Stderr, "%s is not set: these tests run beside a node; see test/kube/README.md\n", name)
			return 1
		}
	}
	registry := exec.Command(os.Getenv("RTBUILD_BIN"), "-C", os.Getenv("RTBUILD_ROOT"), "registry")
	registry.Stderr = os.Stderr
	stdout, err := registry.StdoutPipe()
	if err == nil {
		err = registry.Start()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "starting the registry: %v\n", err)
		return 1
	}
	defer func() {
		_ = registry.Process.Signal(os.Interrupt)
		_ = registry.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		fmt.Fprintf(os.Stderr, "the registry printed %q: %v\n", line, err)
		return 1
	}
	return run()
}

// command runs a program and returns its stdout. A failure is an error with its
// stderr.
func command(input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

func kubectl(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	out, err := command(input, "kubectl", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rtbuild runs rtbuild on the tree whose images are in the registry.
func rtbuild(args ...string) ([]byte, error) {
	return command(nil, os.Getenv("RTBUILD_BIN"), append([]string{"-C", os.Getenv("RTBUILD_ROOT"), "--registry", "local"}, args...)...)
}

// apply applies objects on the server's side.
func apply(t *testing.T, objects ...object) {
	t.Helper()
	encoded, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, encoded, "apply", "--server-side", "--force-conflicts", "--filename=-")
}

// namespace makes a namespace for a test, and deletes it with all in it.
func namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	apply(t, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": name, "labels": labels}})
	t.Cleanup(func() {
		if t.Failed() {
			describe(t, name)
		}
		kubectl(t, nil, "delete", "namespace", name, "--wait=false")
	})
	eventually(t, "the default service account", func() error {
		_, err := command(nil, "kubectl", "get", "serviceaccount", "default", "--namespace", name)
		return err
	})
	return name
}

// describe logs what a failed test left.
func describe(t *testing.T, namespace string) {
	t.Helper()
	for _, args := range [][]string{{"get", "pods", "--output=wide"}, {"get", "events", "--sort-by=.lastTimestamp"}, {"logs", "--selector=function", "--all-containers", "--prefix", "--tail=30", "--max-log-requests=50"}} {
		out, err := command(nil, "kubectl", append(args, "--namespace", namespace)...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// eventually waits until check has nothing to say.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// rollout waits until a Deployment's new Pods are all that there are.
func rollout(t *testing.T, namespace, name string) {
	t.Helper()
	kubectl(t, nil, "rollout", "status", "deployment/"+name, "--namespace", namespace, "--timeout", patience.String())
}

// address is where a Service answers.
func address(t *testing.T, namespace, name string) string {
	t.Helper()
	ip := kubectl(t, nil, "get", "service", name, "--namespace", namespace, "--output=jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	return "http://" + string(ip)
}

// get is the answer to a GET, or to a POST of a body. What is sent before a
// Service's address is known goes nowhere.
func get(url, body string) (int, string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	var response *http.Response
	var err error
	if body == "" {
		response, err = client.Get(url)
	} else {
		response, err = client.Post(url, "text/plain", strings.NewReader(body))
	}
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// answers waits until a URL answers so. A Service's address can take a moment
// after its Pods are ready.
func answers(t *testing.T, url, body string, status int, part string) {
	t.Helper()
	eventually(t, url, func() error {
		got, text, err := get(url, body)
		if err != nil || got != status || !strings.Contains(text, part) {
			return fmt.Errorf("answered %d %q, %v; want %d %q", got, text, err, status, part)
		}
		return nil
	})
}
