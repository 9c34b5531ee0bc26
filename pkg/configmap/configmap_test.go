package configmap_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/pkg/configmap"
)

func render(t *testing.T, runtimes string, replace map[string]string, opts configmap.Options) map[string]any {
	t.Helper()
	c, err := configmap.New([]byte(runtimes), replace, opts)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.YAML()
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("printed differently the second time: %v", err)
	}
	var object map[string]any
	if err := yaml.Unmarshal(out, &object); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return object
}

// The controller reads runtime-images as YAML 1.1, so what it gets must mean
// the same as YAML and as JSON, whatever the strings hold.
func TestRuntimesSurviveYAML(t *testing.T) {
	text := "tab\t quote\" slash/ \\ é \u2028 😀 del\u007f c1\u0085 \u009f cr\r\n bell\a <&> no: yes"
	source, err := json.Marshal([]any{map[string]any{"ID": text, "n": json.Number("3.10")}})
	if err != nil {
		t.Fatal(err)
	}
	object := render(t, string(source), nil, configmap.Options{})
	value := object["data"].(map[string]any)[configmap.Key].(string)
	for name, unmarshal := range map[string]func([]byte, any) error{"JSON": json.Unmarshal, "YAML": yaml.Unmarshal} {
		var list []map[string]any
		if err := unmarshal([]byte(value), &list); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, value)
		}
		if list[0]["ID"] != text {
			t.Errorf("as %s: %q, want %q", name, list[0]["ID"], text)
		}
	}
	if strings.Contains(value, `\ud83d`) || strings.ContainsAny(value, "\u007f\u0085") {
		t.Errorf("an escaped surrogate or a raw control character: %q", value)
	}
}

func TestReplace(t *testing.T) {
	object := render(t, `[{"versions": [{"images": [{"image": "a"}, {"image": "b"}]}]}]`, map[string]string{"/0/versions/0/images/1/image": "c"}, configmap.Options{})
	value := object["data"].(map[string]any)[configmap.Key].(string)
	if strings.Contains(value, `"b"`) || !strings.Contains(value, `"a"`) || !strings.Contains(value, `"c"`) {
		t.Error(value)
	}
	for _, pointer := range []string{"/1/x", "/0/versions/0/images/7/image", "/0/versions/x"} {
		if _, err := configmap.New([]byte(`[{"versions": [{"images": []}]}]`), map[string]string{pointer: "c"}, configmap.Options{}); err == nil {
			t.Errorf("%s: no error", pointer)
		}
	}
}

func TestKeys(t *testing.T) {
	data := render(t, `[]`, nil, configmap.Options{Data: map[string]string{"service-type": "NodePort", "functions-namespace": "x"}})["data"].(map[string]any)
	for key, want := range map[string]string{"service-type": "NodePort", "functions-namespace": "x", "ingress-enabled": "false", "deployment": "{}", "provision-image-secret": ""} {
		if data[key] != want {
			t.Errorf("%s is %#v, want the string %q", key, data[key], want)
		}
	}
	only := render(t, `[]`, nil, configmap.Options{OnlyRuntimes: true, Data: map[string]string{"x": "y"}})["data"].(map[string]any)
	if len(only) != 1 || only[configmap.Key] != "[]\n" {
		t.Errorf("only runtimes: %v", only)
	}
}

// Every quote counts twice in the annotation of a client-side apply, so its
// limit is reached long before the data's.
func TestSizeLimits(t *testing.T) {
	runtimes := func(n int) []byte {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("runtime-%d", i))
		}
		out, _ := json.Marshal(list)
		return out
	}
	if _, err := configmap.New(runtimes(5_000), nil, configmap.Options{}); err != nil {
		t.Errorf("small: %v", err)
	}
	_, err := configmap.New(runtimes(14_000), nil, configmap.Options{})
	if err == nil || !strings.Contains(err.Error(), "--server-side") {
		t.Errorf("beyond the annotation's limit: %v", err)
	}
	if _, err := configmap.New(runtimes(14_000), nil, configmap.Options{ServerSide: true}); err != nil {
		t.Errorf("on the server's side: %v", err)
	}
	_, err = configmap.New(runtimes(60_000), nil, configmap.Options{ServerSide: true})
	if err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("beyond the data's limit: %v", err)
	}
}
