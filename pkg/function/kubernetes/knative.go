package kubernetes

import (
	"fmt"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// Knative describes a function as a Knative Service, and its ConfigMap unless it
// is in an image. Knative runs no init containers, so a function that is to be
// installed or compiled, or holds links, must be in an image.
func Knative(f *function.Function) ([]Object, error) {
	if slices.Contains([]int{8008, 8012, 8013, 8022, 9090, 9091}, f.Port) {
		return nil, fmt.Errorf("port %d: Knative has the ports 8008, 8012, 8013, 8022, 9090 and 9091 for itself", f.Port)
	}
	if err := checkSecrets(f); err != nil {
		return nil, err
	}
	var objects []Object
	mounts := []Object{{"name": temporaryName, "mountPath": "/tmp"}}
	volumes := []Object{temporary()}
	if f.Image == "" {
		if len(f.Steps()) > 0 || slices.ContainsFunc(f.Volume(), func(file function.File) bool { return file.Link != "" }) {
			return nil, fmt.Errorf("Knative prepares nothing, and %s is to be installed or compiled, or holds links: put it into an image of its own, with --image REPOSITORY", f.Name)
		}
		source, err := configMap(f)
		if err != nil {
			return nil, err
		}
		objects = append(objects, source)
		files := items(f)
		for _, item := range files {
			item["path"] = item["path"].(string)[len(sourceName)+1:]
		}
		volumes = append(volumes, Object{"name": sourceName, "configMap": Object{"name": source["metadata"].(Object)["name"], "items": files}})
		mounts = append(mounts, Object{"name": sourceName, "mountPath": function.VolumePath, "readOnly": true})
	}
	c := server(f)
	delete(c, "name")
	for _, s := range f.Secrets {
		volumes = append(volumes, Object{"name": secretVolume(s), "secret": Object{"secretName": s.Name}})
		mounts = append(mounts, Object{"name": secretVolume(s), "mountPath": "/" + s.Name, "readOnly": true})
	}
	c["volumeMounts"] = mounts
	c["ports"] = []Object{{"name": "http1", "containerPort": f.Port}}
	// Knative asks the container's one port.
	c["readinessProbe"], c["livenessProbe"] = probe(readyPath(f), nil, 2), probe("/healthz", nil, 10)
	security := c["securityContext"].(Object)
	security["runAsNonRoot"], security["runAsUser"], security["seccompProfile"] = true, function.User, Object{"type": "RuntimeDefault"}
	return append(objects, Object{
		"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": recorded(f),
		"spec": Object{"template": Object{
			"metadata": Object{"labels": labels(f)},
			"spec": Object{
				"automountServiceAccountToken": false, "enableServiceLinks": false,
				"timeoutSeconds": f.Timeout, "containers": []Object{c}, "volumes": volumes,
			},
		}},
	}), nil
}
