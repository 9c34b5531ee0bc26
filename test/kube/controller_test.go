package kube_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"
)

// The types into which the controller decodes runtime-images. Like its own
// they have no tags: a key is a field's name in any case.
type (
	controllerRuntime struct {
		ID             string
		Versions       []controllerVersion
		DepName        string
		FileNameSuffix string
	}
	controllerVersion struct {
		Name    string
		Version string
		Images  []controllerImage
	}
	controllerImage struct {
		Phase   string
		Image   string
		Command string
		Env     map[string]string
	}
)

// checkRuntimeImages decodes runtime-images as the controller does, and finds
// for each version what the controller would look for.
func checkRuntimeImages(t *testing.T, text string) {
	t.Helper()
	var runtimes []controllerRuntime
	if err := yaml.Unmarshal([]byte(text), &runtimes); err != nil {
		t.Fatalf("the controller would exit: %v", err)
	}
	// The controller reads YAML 1.1, which takes an unquoted 3.10 for the
	// number 3.1. A JSON decoder refuses a number where a string belongs, so
	// the two agree only where every string is quoted.
	var strict []controllerRuntime
	if err := json.Unmarshal([]byte(text), &strict); err != nil {
		t.Fatalf("runtime-images is not a JSON object of strings: %v", err)
	}
	if !reflect.DeepEqual(runtimes, strict) {
		t.Errorf("YAML and JSON decode differently:\nYAML %+v\nJSON %+v", runtimes, strict)
	}

	if len(runtimes) == 0 {
		t.Fatal("runtime-images lists no runtime")
	}
	id, version := regexp.MustCompile(`^[a-zA-Z_-]+$`), regexp.MustCompile(`^[0-9.]+$`)
	for _, r := range runtimes {
		if !id.MatchString(r.ID) {
			t.Errorf("the controller cannot find the ID %q", r.ID)
		}
		if len(r.Versions) == 0 {
			t.Errorf("%s has no version", r.ID)
		}
		for _, v := range r.Versions {
			if !version.MatchString(v.Version) {
				t.Errorf("the controller cannot find the version %q of %s", v.Version, r.ID)
			}
			if runtimeImage(v) == "" {
				t.Errorf("%s%s has no image in the runtime phase", r.ID, v.Version)
			}
		}
	}
}

// runtimeImage is the image that the controller would run, or "".
func runtimeImage(v controllerVersion) string {
	for _, image := range v.Images {
		if image.Phase == "runtime" {
			return image.Image
		}
	}
	return ""
}
