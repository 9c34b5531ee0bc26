package kube_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// rtbuild runs the binary $RTBUILD_BIN on the tree $RTBUILD_ROOT and returns
// what it prints.
func rtbuild(t *testing.T, args ...string) (stdout, stderr []byte) {
	t.Helper()
	binary := absolute(t, environment(t, "RTBUILD_BIN", "an rtbuild binary"))
	root := absolute(t, environment(t, "RTBUILD_ROOT", "a folder with a runtimes.jsonnet"))
	cmd := exec.Command(binary, append([]string{"-C", root}, args...)...)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	if err := cmd.Run(); err != nil {
		t.Fatalf("rtbuild %s: %v\n%s", strings.Join(args, " "), err, diagnostics.Bytes())
	}
	return out.Bytes(), diagnostics.Bytes()
}

// environment is the value of a variable that these tests need.
func environment(t *testing.T, name, meaning string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: set it to the path of %s (see README.md)", name, meaning)
	}
	return value
}

// printed is what "rtbuild configmap" prints with these flags.
func printed(t *testing.T, flags ...string) []byte {
	t.Helper()
	output, _ := rtbuild(t, append([]string{"configmap"}, flags...)...)
	return output
}

// A configMap is the part of a ConfigMap that matters here.
type configMap struct {
	Kind     string
	Metadata struct {
		Name            string
		Namespace       string
		ResourceVersion string
	}
	Data map[string]string
}

// decodeConfigMap decodes one ConfigMap in JSON.
func decodeConfigMap(t *testing.T, encoded []byte) configMap {
	t.Helper()
	var object configMap
	if err := json.Unmarshal(encoded, &object); err != nil {
		t.Fatalf("decoding a ConfigMap: %v\n%s", err, encoded)
	}
	if object.Kind != "ConfigMap" {
		t.Fatalf("got a %q, want one ConfigMap:\n%s", object.Kind, encoded)
	}
	return object
}

// live reads back the ConfigMap that rtbuild prints.
func (c *cluster) live(t *testing.T) configMap {
	t.Helper()
	want := decodeConfigMap(t, printed(t, "--output", "json"))
	return decodeConfigMap(t, c.mustKubectl(t, nil,
		"get", "configmap", want.Metadata.Name, "--namespace", want.Metadata.Namespace, "--output", "json"))
}
