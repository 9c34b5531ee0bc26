package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// code is a module whose function answers a word.
func code(word string) string {
	return "def handler(event, context):\n    return '" + word + "'\n"
}

// javaScript is code in another language.
func javaScript(word string) string {
	return "module.exports = { handler: () => '" + word + "' };\n"
}

// TestUpdates has a function updated, restarted and updated with what cannot be
// loaded while 5,000 calls come: none of them is lost.
func TestUpdates(t *testing.T) {
	t.Run("python", func(t *testing.T) { updates(t, "python", code, "stable/python/contract/broken.py") })
	t.Run("nodejs", func(t *testing.T) { updates(t, "nodejs", javaScript, "stable/nodejs/contract/broken.js") })
}

func updates(t *testing.T, runtime string, code func(word string) string, wrong string) {
	ns, p := namespace(t, nil), configMap(t)
	// Its port is not the one that the probe of the ConfigMap could guess.
	f := function{namespace: ns, name: "updated", runtime: runtime, code: code("one"), port: 9000}
	p.deploy(t, f)
	rollout(t, ns, f.name)
	url := address(t, ns, f.name)
	answers(t, url, "x", 200, "one")
	l := startLoad(t, url)

	f.code = code("two")
	p.deploy(t, f)
	rollout(t, ns, f.name)
	kubectl(t, nil, "rollout", "restart", "deployment/"+f.name, "--namespace", ns)
	rollout(t, ns, f.name)

	broken := f
	broken.code = source(t, wrong)
	p.deploy(t, broken)
	eventually(t, "the broken version is tried", func() error {
		out, err := command(nil, "kubectl", "logs", "--selector=function="+f.name, "--namespace", ns, "--tail=-1", "--max-log-requests=20")
		if err == nil && !strings.Contains(string(out), "SyntaxError") {
			err = fmt.Errorf("no SyntaxError in the logs")
		}
		return err
	})
	l.reach(l.count() + 1000)
	f.code = code("three")
	p.deploy(t, f)
	rollout(t, ns, f.name)
	l.reach(max(5000, l.count()+2000)) // a fast machine has made 5,000 before
	l.end(t)
	for _, word := range []string{"one", "two", "three"} {
		if l.answers[word] == 0 {
			t.Errorf("no call was answered %q", word)
		}
	}
}

// TestOnlyPodDeleted deletes the one Pod of a function: what comes until its end
// is told everywhere is answered, and so is what comes once there is another.
func TestOnlyPodDeleted(t *testing.T) {
	ns, p := namespace(t, nil), configMap(t)
	f := function{namespace: ns, name: "alone", code: code("here")}
	p.deploy(t, f)
	rollout(t, ns, f.name)
	url := address(t, ns, f.name)
	answers(t, url, "x", 200, "here")
	l := startLoad(t, url)
	l.reach(200)
	kubectl(t, nil, "delete", "pod", "--selector=function="+f.name, "--namespace", ns, "--wait=false")
	rollout(t, ns, f.name)
	l.reach(l.count() + 500)
	l.end(t)
}

// TestSlowLoad has a function that loads for longer than the liveness probe would
// wait: it is not killed, gets no call, and answers when it is loaded.
func TestSlowLoad(t *testing.T) {
	ns, p := namespace(t, nil), configMap(t)
	// Three probes, one every two seconds, are done long before.
	const slow = 20 * time.Second
	f := function{namespace: ns, name: "slow", code: fmt.Sprintf("import time\ntime.sleep(%d)\n", int(slow.Seconds())) + code("awake")}
	p.deploy(t, f)
	kubectl(t, nil, "patch", "deployment", f.name, "--namespace", ns, "--type=json", "--patch",
		`[{"op": "replace", "path": "/spec/template/spec/containers/0/livenessProbe/periodSeconds", "value": 2}]`)
	rollout(t, ns, f.name)
	url := address(t, ns, f.name)
	answers(t, url, "x", 200, "awake")
	restarts := kubectl(t, nil, "get", "pods", "--selector=function="+f.name, "--namespace", ns, "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}")
	if strings.Trim(string(restarts), "0 ") != "" {
		t.Errorf("restarted while it loaded: %s", restarts)
	}
}

// TestNoTemporaryFolder runs a function on a read-only root without a /tmp: the
// sockets lie in its volume then.
func TestNoTemporaryFolder(t *testing.T) {
	ns, p := namespace(t, nil), configMap(t)
	f := function{namespace: ns, name: "readonly", code: code("here")}
	p.deploy(t, f)
	kubectl(t, nil, "patch", "deployment", f.name, "--namespace", ns, "--type=json", "--patch",
		`[{"op": "add", "path": "/spec/template/spec/containers/0/securityContext", "value": {"readOnlyRootFilesystem": true}}]`)
	rollout(t, ns, f.name)
	answers(t, address(t, ns, f.name), "x", 200, "here")
}
