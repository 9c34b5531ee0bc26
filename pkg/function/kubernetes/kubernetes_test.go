package kubernetes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

func hello() *function.Function {
	return &function.Function{
		Name: "hello", Namespace: "n", Handler: "hello.handler", Timeout: 180, Port: 8080,
		Source: function.Source{Files: []function.File{{Name: "x.py", Content: []byte("code")}}},
		Runtime: function.Runtime{ID: "python", Version: "3", FileNameSuffix: ".py", DepName: "requirements.txt", Phases: []function.Phase{
			{Phase: manifest.Installation, References: []string{"init:3"}, Command: "install"},
			{Phase: manifest.RuntimePhase, References: []string{"local:3", "python:3"}},
		}},
	}
}

// Another source is another ConfigMap, so that Pods of before keep theirs.
func TestObjects(t *testing.T) {
	name := func(f *function.Function) string {
		objects, err := Objects(f)
		if err != nil || len(objects) != 3 {
			t.Fatalf("%d objects, %v", len(objects), err)
		}
		return objects[0]["metadata"].(Object)["name"].(string)
	}
	f := hello()
	first := name(f)
	if f.Env = []function.Variable{{Name: "A", Value: "b"}}; name(f) != first {
		t.Error("the same source has another name")
	}
	if f.Source.Files[0].Content = []byte("other"); name(f) == first {
		t.Error("another source has the same name")
	}
	f.Source.Files[0].Content = make([]byte, maxSource)
	if _, err := Objects(f); err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("too large a source: %v", err)
	}
}

// Kubernetes reads $$ as $ and $(NAME) as a value; what it makes of an escaped
// text is the text.
func TestEscaped(t *testing.T) {
	for text, want := range map[string]string{"$A $$ $(B)": "$A $$$ $$(B)", "$$(A)": "$$$$(A)", "$": "$"} {
		if got := escaped(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// A secret's files are not the cluster's business, and those that are in an image
// are not prepared.
func TestObjectsOf(t *testing.T) {
	f := hello()
	f.Secrets = []function.Secret{{Name: "keys", Files: []function.File{{Name: "a"}}}}
	if _, err := Objects(f); err == nil || !strings.Contains(err.Error(), "kubectl create secret generic keys") {
		t.Errorf("a secret with files: %v", err)
	}
	f.Secrets[0].Files, f.Image, f.ReadyPath = nil, "r.example/hello@sha256:1", "/healthz"
	objects, err := Objects(f)
	if err != nil || len(objects) != 2 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	encoded, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]bool{`"secretName":"keys"`: true, `"image":"r.example/hello@sha256:1"`: true, "/readyz": false, "initContainers": false, "configMap": false} {
		if strings.Contains(string(encoded), part) != want {
			t.Errorf("%s is %v in %s", part, !want, encoded)
		}
	}
}

// An error shows the last warnings, each once.
func TestWarnings(t *testing.T) {
	lines, err := warnings([]byte(`{"items": [
		{"type": "Warning", "reason": "Failed", "message": "second", "lastTimestamp": "2026-01-01T00:00:02Z"},
		{"type": "Normal", "reason": "Pulling", "message": "pulling", "lastTimestamp": "2026-01-01T00:00:01Z"},
		{"type": "Warning", "reason": "Failed", "message": "second", "lastTimestamp": "2026-01-01T00:00:03Z"},
		{"type": "Warning", "reason": "Early", "message": "first", "lastTimestamp": null, "eventTime": "2026-01-01T00:00:01.5Z"}]}`))
	if want := []string{"event Early: first", "event Failed: second"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %q, %v; want %q", lines, err, want)
	}
}

func TestKnative(t *testing.T) {
	f := hello()
	if objects, err := Knative(f); err != nil || len(objects) != 2 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
	f.Dependencies = []byte("a")
	if _, err := Knative(f); err == nil {
		t.Error("Knative is to install dependencies")
	}
	f.Image = "r.example/hello@sha256:1"
	if objects, err := Knative(f); err != nil || len(objects) != 1 {
		t.Errorf("in an image: %d objects, %v", len(objects), err)
	}
	f.Port = 9090
	if _, err := Knative(f); err == nil || !strings.Contains(err.Error(), "9090") {
		t.Errorf("a reserved port: %v", err)
	}
}

func TestReadRollout(t *testing.T) {
	deployment := `{"kind": "Deployment", "metadata": {"name": "hello", "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}}, "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}}`
	sets := `{"kind": "ReplicaSet", "metadata": {"name": "one", "annotations": {"deployment.kubernetes.io/revision": "1"}}}, {"kind": "ReplicaSet", "metadata": {"name": "two", "annotations": {"deployment.kubernetes.io/revision": "2"}}}`
	pod := func(owner, status string) string {
		return `{"kind": "Pod", "metadata": {"name": "p", "ownerReferences": [{"name": "` + owner + `"}]}, "status": ` + status + `}`
	}
	ended := `{"initContainerStatuses": [{"name": "install", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}`
	for name, tt := range map[string]struct{ objects, failure, asking string }{
		"a phase failed":             {deployment + "," + sets + "," + pod("two", ended), "install: ended with exit code 1 (Error)", ""},
		"one of the version before":  {deployment + "," + sets + "," + pod("one", ended), "", ""},
		"an image that is not there": {deployment + "," + sets + "," + pod("two", `{"containerStatuses": [{"name": "hello", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "m"}}}]}`), "hello: ImagePullBackOff: m", ""},
		"not ready":                  {deployment + "," + sets + "," + pod("two", `{"containerStatuses": [{"name": "hello", "state": {"running": {}}}]}`), "", "p"},
	} {
		state, err := readRollout([]byte(`{"items": [`+tt.objects+`]}`), "hello")
		failed := ""
		if state.failure != nil {
			failed = state.failure.String()
		}
		if err != nil || state.done || failed != tt.failure || state.asking != tt.asking {
			encoded, _ := json.Marshal(tt.objects)
			t.Errorf("%s: failure %q, asking %q, %v of %s", name, failed, state.asking, err, encoded)
		}
	}
}
