package node_test

import (
	"cmp"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// An object is one of Kubernetes', as its JSON.
type object = map[string]any

// published is what rtbuild configmap prints, as the controller decodes it.
type published struct {
	runtimes []struct {
		ID, DepName, FileNameSuffix string
		Versions                    []struct {
			Version string
			Images  []phaseImage
		}
	}
	// pods is the template of the key deployment.
	pods struct {
		Containers []struct {
			Env            []object
			ReadinessProbe object
		}
	}
}

type phaseImage struct {
	Phase, Image, Command string
	Env                   map[string]string
}

func configMap(t *testing.T) published {
	t.Helper()
	out, err := rtbuild("configmap", "--output", "json", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	var printed struct{ Data map[string]string }
	var p published
	var deployment struct {
		Spec struct {
			Template struct{ Spec json.RawMessage }
		}
	}
	for _, step := range []struct {
		text string
		into any
	}{
		{string(out), &printed},
	} {
		if err := json.Unmarshal([]byte(step.text), step.into); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(printed.Data["runtime-images"]), &p.runtimes); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(printed.Data["deployment"]), &deployment); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(deployment.Spec.Template.Spec, &p.pods); err != nil {
		t.Fatal(err)
	}
	if len(p.pods.Containers) != 1 || p.pods.Containers[0].ReadinessProbe == nil {
		t.Fatalf("the ConfigMap gives functions no readiness probe: %s", printed.Data["deployment"])
	}
	return p
}

// files are what the functions of a runtime are written to: the module's file, and
// the dependencies'.
func (p published) files(id string) (module, dependencies string) {
	for _, r := range p.runtimes {
		if r.ID == id {
			return "m" + r.FileNameSuffix, r.DepName
		}
	}
	return "", ""
}

// images are those of a runtime's newest version, by phase.
func (p published) images(t *testing.T, id string) (name string, images map[string]phaseImage) {
	t.Helper()
	images = map[string]phaseImage{}
	for _, r := range p.runtimes {
		if r.ID != id {
			continue
		}
		newest := r.Versions[len(r.Versions)-1]
		for _, image := range newest.Images {
			images[image.Phase] = image
		}
		return r.ID + newest.Version, images
	}
	t.Fatalf("the ConfigMap has no runtime %s", id)
	return "", nil
}

// A function is deployed as the controller does it.
type function struct {
	namespace, name string
	// runtime is the ID of its runtime; empty is Python's.
	runtime string
	// code is that of a module named m.
	code string
	port int
	env  map[string]string
	pod  object
}

// deploy applies the objects that the controller makes of a function: the same
// names, environment, probes and strategy. The image that prepares is ours, which
// has a shell, too.
func (p published) deploy(t *testing.T, f function) {
	t.Helper()
	id := cmp.Or(f.runtime, "python")
	runtime, images := p.images(t, id)
	module, dependencies := p.files(id)
	if f.port == 0 {
		f.port = 8080
	}
	labels := map[string]string{"created-by": "kubeless", "function": f.name}
	given := p.pods.Containers[0]
	environment := append([]object{}, given.Env...)
	for _, v := range [][2]string{
		{"FUNC_HANDLER", "handler"}, {"MOD_NAME", "m"}, {"FUNC_TIMEOUT", "180"}, {"FUNC_RUNTIME", runtime},
		{"FUNC_MEMORY_LIMIT", "0"}, {"FUNC_PORT", strconv.Itoa(f.port)}, {"KUBELESS_INSTALL_VOLUME", "/kubeless"},
	} {
		environment = append(environment, object{"name": v[0], "value": v[1]})
	}
	for name, value := range images["runtime"].Env {
		environment = append(environment, object{"name": name, "value": value})
	}
	for name, value := range f.env {
		environment = append(environment, object{"name": name, "value": value})
	}
	mounts := []object{{"name": f.name, "mountPath": "/kubeless"}}
	pod := object{
		"securityContext": object{"runAsUser": 1000, "fsGroup": 1000},
		"volumes":         []object{{"name": f.name, "emptyDir": object{}}, {"name": f.name + "-deps", "configMap": object{"name": f.name}}},
		"initContainers": []object{{
			"name": "prepare", "image": images["installation"].Image, "command": []string{"sh", "-c"}, "args": []string{"cp /src/" + module + " /src/" + dependencies + " /kubeless"},
			"volumeMounts": append([]object{{"name": f.name + "-deps", "mountPath": "/src"}}, mounts...),
		}},
		"containers": []object{{
			"name": f.name, "image": images["runtime"].Image, "env": environment, "volumeMounts": mounts,
			"ports":          []object{{"containerPort": f.port}},
			"readinessProbe": given.ReadinessProbe,
			"livenessProbe":  object{"httpGet": object{"path": "/healthz", "port": f.port}, "initialDelaySeconds": 3, "periodSeconds": 30},
		}},
	}
	for key, value := range f.pod {
		pod[key] = value
	}
	template := object{"metadata": object{"labels": labels, "annotations": object{"checksum": strconv.Quote(f.code)}}, "spec": pod}
	apply(t,
		object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": f.name, "namespace": f.namespace},
			"data": object{module: f.code, dependencies: "", "handler": "m.handler"}},
		object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": f.name, "namespace": f.namespace, "labels": labels},
			"spec": object{"selector": labels, "ports": []object{{"name": "http-function-port", "port": f.port, "targetPort": f.port}}}},
		object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": f.name, "namespace": f.namespace, "labels": labels},
			"spec": object{"selector": object{"matchLabels": labels}, "strategy": object{"rollingUpdate": object{"maxUnavailable": 0}}, "template": template}})
}

// source is a file of the tree.
func source(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(strings.TrimSuffix(os.Getenv("RTBUILD_ROOT"), "/") + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
