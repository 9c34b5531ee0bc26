//go:build e2e

package runtime

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// settings is a function that tells what it has been given, sleeps and takes
// memory.
const settings = `import os, time
def handler(event, context):
    match event["data"]:
        case "env": return os.environ["A"] + " " + os.environ["B"] + " " + os.environ["C"]
        case "secret": return open("/token/key").read()
        case "sleep": time.sleep(60)
        case "memory": return str(len(b'x' * 200_000_000))
        case "die": os._exit(3)
        case _: return context["timeout"]
`

// TestFunctionSettings deploys a function with all that can be set of one, and
// updates one thing: the rest stays.
func TestFunctionSettings(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("token/key", "hush")
	secret := "token=" + p.folder + "/token"
	url := p.deploy("set", p.write("f.py", settings), "--env", "A=1,B:$(A)2", "--env", `"C=x,y"`, "--timeout", "2",
		"--memory", "96Mi", "--cpu", "500m", "--label", "team=blue", "--secrets", secret)
	check := func() {
		t.Helper()
		calledWith(t, url, "env", http.StatusOK, "1 12 x,y")
		calledWith(t, url, "secret", http.StatusOK, "hush")
		calledWith(t, url, "sleep", http.StatusRequestTimeout, "")
		calledWith(t, url, "env", http.StatusOK, "1 12 x,y")
	}
	check()
	p.fails(1, []string{"function set answered with status 408"}, "call", "set", "--data", "sleep")
	p.fails(2, []string{"function set has secrets (token)", "--secrets NAME=FOLDER"}, "update", "set", "--timeout", "2")
	p.must("update", "set", "--runtime", "python3.14", "--secrets", secret)
	check()
	var status struct {
		Runtime, Memory, CPU, Status string
		Timeout                      int
		Labels                       map[string]string
		Secrets                      []string
	}
	if err := json.Unmarshal([]byte(p.must("describe", "set", "--out", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Runtime != "python3.14" || status.Memory != "96Mi" || status.CPU != "500m" || status.Status != "ready" || status.Timeout != 2 || status.Labels["team"] != "blue" || len(status.Secrets) != 1 {
		t.Errorf("described as %+v", status)
	}
	if out := p.must("describe", "set", "-o", "yaml"); !strings.Contains(out, "runtime: python3.14\n") {
		t.Errorf("described as\n%s", out)
	}
	if found := dockerCommand(t, "ps", "--quiet", "--filter", "label=team=blue", "--filter", "label=dev.rtbuild.namespace="+p.namespace); lines(found) != 2 {
		t.Errorf("containers with the label: %s", found)
	}
}

// TestFunctionMemory takes more memory than there may be: the call fails, and the
// function goes on.
func TestFunctionMemory(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	url := p.deploy("greedy", p.write("f.py", settings), "--memory", "96Mi")
	for _, data := range []string{"memory", "die"} {
		if status, body, err := called(url, data); err == nil && status < http.StatusInternalServerError {
			t.Errorf("%s is answered with %d %q", data, status, body)
		}
		eventually(t, url, "f", http.StatusOK)
	}
	out := p.must("logs", "greedy")
	if !strings.Contains(out, "signal: killed") || !strings.Contains(out, "exit status 3") {
		t.Errorf("the log does not say what became of the worker:\n%s", out)
	}
	// A container that ends itself is started again by the engine.
	server := dockerCommand(t, "ps", "--quiet", "--filter", "label=dev.rtbuild.part=server", "--filter", "label=dev.rtbuild.namespace="+p.namespace)
	first, err := strconv.Atoi(dockerCommand(t, "inspect", "--format", "{{.State.Pid}}", server))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, url, "f", http.StatusOK)
	if restarts := dockerCommand(t, "inspect", "--format", "{{.RestartCount}}", server); restarts != "1" {
		t.Errorf("started again %s times", restarts)
	}
}

// called POSTs data to a function.
func called(url, data string) (int, string, error) {
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	return postOf(client, url, data)
}

func calledWith(t *testing.T, url, data string, status int, body string) {
	t.Helper()
	got, text, err := called(url, data)
	if err != nil || got != status || body != "" && text != body {
		t.Errorf("%q is answered with %d %q, %v; want %d %q", data, got, text, err, status, body)
	}
}

// eventually waits until data is answered so.
func eventually(t *testing.T, url, data string, status int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		got, body, err := called(url, data)
		if err == nil && got == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is answered with %d %q, %v; want %d", data, got, body, err, status)
		}
	}
}
