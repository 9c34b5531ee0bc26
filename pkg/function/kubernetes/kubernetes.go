// Package kubernetes describes functions to Kubernetes, and keeps them there.
//
// Objects are plain ones that any cluster takes: a ConfigMap with the source, a
// Deployment whose init containers are the function's phases, and a Service. Its
// Pods keep to Pod Security's restricted profile. Knative makes a Knative Service
// instead. A Deployer applies them to a Cluster and waits until the function
// serves, or says why it does not.
package kubernetes

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// An Object is one of Kubernetes', as its JSON.
type Object map[string]any

// Labels of all that a function is made into.
const (
	nameLabel    = "app.kubernetes.io/name"
	managerLabel = "app.kubernetes.io/managed-by"
	manager      = "rtbuild"
	// recordAnnotation holds the function's record, in JSON.
	recordAnnotation = "dev.rtbuild/record"
)

const (
	apps, core = "apps/v1", "v1"
	// volumeName and temporaryName are the volumes of /kubeless and the server's
	// /tmp, scratchName that of the phases' /tmp, and sourceName that of what
	// preparation copies from sourcePath.
	volumeName, temporaryName, scratchName, sourceName = "function", "tmp", "scratch", "source"
	sourcePath                                         = "/src"
	portName                                           = "http"
)

// maxSource is what a ConfigMap takes; Kubernetes counts names too.
const maxSource = 1 << 20

// Objects describe a function: its ConfigMap (unless it is in an image), its
// Service and its Deployment.
func Objects(f *function.Function) ([]Object, error) {
	if err := checkSecrets(f); err != nil {
		return nil, err
	}
	objects := []Object{}
	source := ""
	if f.Image == "" {
		configMap, err := configMap(f)
		if err != nil {
			return nil, err
		}
		source = configMap["metadata"].(Object)["name"].(string)
		objects = append(objects, configMap)
	}
	return append(objects, service(f), deployment(f, source)), nil
}

// checkSecrets makes sure that the cluster is to have the secrets: what is printed
// holds none.
func checkSecrets(f *function.Function) error {
	for _, s := range f.Secrets {
		if s.Files != nil {
			return fmt.Errorf("secret %s: a cluster keeps its own: make it there (kubectl create secret generic %s --namespace %s --from-file=FOLDER) and name it alone, as --secrets %s", s.Name, s.Name, f.Namespace, s.Name)
		}
	}
	return nil
}

func metadata(f *function.Function, name string) Object {
	return Object{"name": name, "namespace": f.Namespace, "labels": labels(f)}
}

// labels are the function's own and what finds its objects.
func labels(f *function.Function) map[string]string {
	all := map[string]string{}
	maps.Copy(all, f.Labels)
	maps.Copy(all, selector(f.Name))
	return all
}

func selector(name string) map[string]string {
	return map[string]string{nameLabel: name, managerLabel: manager}
}

// configMap holds the source. Its name holds a checksum: Pods of before an update
// go on with theirs, and an update is a new Deployment's revision.
func configMap(f *function.Function) (Object, error) {
	binary, size, sum := map[string][]byte{}, 0, sha256.New()
	for _, file := range sourceFiles(f) {
		fmt.Fprintf(sum, "%q %q %t %d\n", file.Name, file.Link, file.Executable, len(file.Content))
		sum.Write(file.Content)
		if file.Link == "" {
			binary[file.key] = file.Content
			size += len(file.key) + len(file.Content)
		}
	}
	if size > maxSource {
		return nil, fmt.Errorf("the source has %d bytes, and a ConfigMap takes %d: leave out what it does not need, or put the function into an image of its own, with --image REPOSITORY", size, maxSource)
	}
	object := Object{"apiVersion": core, "kind": "ConfigMap", "metadata": metadata(f, fmt.Sprintf("%s-%.10x", f.Name, sum.Sum(nil))), "immutable": true}
	text := map[string]string{}
	for key, content := range binary {
		if isText(content) {
			text[key] = string(content)
			delete(binary, key)
		}
	}
	if len(text) > 0 {
		object["data"] = text
	}
	if len(binary) > 0 {
		object["binaryData"] = binary
	}
	return object, nil
}

// dependenciesKey is the key of a dependency file that is not of the source.
const dependenciesKey = "dependencies"

// A sourceFile is a file of the function's volume, and its key in the ConfigMap:
// names of files may hold what keys may not.
type sourceFile struct {
	key string
	function.File
}

func sourceFiles(f *function.Function) []sourceFile {
	var all []sourceFile
	for i, file := range f.Volume() {
		key := "file" + strconv.Itoa(i)
		own := f.Source.Bundle && slices.ContainsFunc(f.Source.Files, func(of function.File) bool { return of.Name == file.Name })
		if file.Name == f.Runtime.DepName && (len(f.Dependencies) > 0 || !own) {
			key = dependenciesKey
		}
		all = append(all, sourceFile{key, file})
	}
	return all
}

func service(f *function.Function) Object {
	return Object{
		"apiVersion": core, "kind": "Service", "metadata": metadata(f, f.Name),
		"spec": Object{
			"selector": selector(f.Name),
			"ports":    []Object{{"name": portName, "port": f.Port, "targetPort": portName}},
		},
	}
}

func deployment(f *function.Function, source string) Object {
	spec := Object{
		"selector": Object{"matchLabels": selector(f.Name)},
		// A Pod goes when the one that replaces it serves.
		"strategy":             Object{"type": "RollingUpdate", "rollingUpdate": Object{"maxUnavailable": 0, "maxSurge": 1}},
		"revisionHistoryLimit": 2,
		"template":             Object{"metadata": Object{"labels": labels(f), "annotations": scraping(f)}, "spec": pod(f, source)},
	}
	return Object{"apiVersion": apps, "kind": "Deployment", "metadata": recorded(f), "spec": spec}
}

// recorded is metadata with the function's record.
func recorded(f *function.Function) Object {
	record, err := json.Marshal(function.RecordOf(f))
	if err != nil {
		panic(fmt.Sprintf("a record is plain data: %v", err))
	}
	meta := metadata(f, f.Name)
	meta["annotations"] = map[string]string{recordAnnotation: string(record)}
	return meta
}

// scraping tells Prometheus where the metrics are.
func scraping(f *function.Function) map[string]string {
	return map[string]string{"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics", "prometheus.io/port": strconv.Itoa(f.Port)}
}

// Seconds that the proxy takes to end: SHUTDOWN_DELAY and what comes after
// SHUTDOWN_TIMEOUT.
const shutdownMargin = 15

func pod(f *function.Function, source string) Object {
	spec := Object{
		"automountServiceAccountToken": false,
		"enableServiceLinks":           false,
		"securityContext": Object{
			"runAsNonRoot": true, "runAsUser": function.User, "fsGroup": function.Group,
			"seccompProfile": Object{"type": "RuntimeDefault"},
		},
		// Running calls may take their time before the Pod ends.
		"terminationGracePeriodSeconds": f.Timeout + shutdownMargin,
		"volumes":                       volumes(f, source),
		"containers":                    []Object{server(f)},
	}
	if f.Image == "" {
		spec["initContainers"] = initContainers(f)
	}
	return spec
}

func volumes(f *function.Function, source string) []Object {
	all := []Object{temporary()}
	if f.Image == "" {
		all = append(all,
			Object{"name": volumeName, "emptyDir": Object{}},
			Object{"name": scratchName, "emptyDir": Object{}},
			Object{"name": sourceName, "configMap": Object{"name": source, "items": items(f)}})
	}
	for _, s := range f.Secrets {
		all = append(all, Object{"name": secretVolume(s), "secret": Object{"secretName": s.Name}})
	}
	return all
}

// temporary is the server's /tmp. It is in memory, as on a Docker engine: one on
// disk lacks the sticky bit, and what makes files for itself alone refuses that
// (Ruby's tmpdir).
func temporary() Object {
	return Object{"name": temporaryName, "emptyDir": Object{"medium": "Memory"}}
}

func secretVolume(s function.Secret) string { return "secret-" + s.Name }

// items name the files again, in a folder, beside which Kubernetes keeps its own.
func items(f *function.Function) []Object {
	var all []Object
	for _, file := range sourceFiles(f) {
		if file.Link != "" {
			continue
		}
		item := Object{"key": file.key, "path": sourceName + "/" + file.Name, "mode": 0o444}
		if file.Executable {
			item["mode"] = 0o555
		}
		all = append(all, item)
	}
	return all
}

// container is that of a step. The last of its references is the one that is
// pulled.
func container(f *function.Function, name string, step function.Step) Object {
	c := Object{
		"name": name, "image": step.References[len(step.References)-1],
		"securityContext": Object{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
			"capabilities": Object{"drop": []string{"ALL"}},
		},
		"volumeMounts": []Object{{"name": volumeName, "mountPath": function.VolumePath}, {"name": temporaryName, "mountPath": "/tmp"}},
	}
	if len(step.Command) > 0 {
		c["command"] = literal(step.Command)
	}
	if step.WorkingDir != "" {
		c["workingDir"] = step.WorkingDir
	}
	if len(step.Env) > 0 {
		c["env"] = environment(step.Env)
	}
	if r := resources(f); r != nil {
		c["resources"] = r
	}
	return c
}

// server is the container that serves the function.
func server(f *function.Function) Object {
	step := f.Server()
	if !slices.ContainsFunc(step.Env, func(v function.Variable) bool { return v.Name == "SHUTDOWN_TIMEOUT" }) {
		step.Env = append(step.Env, function.Variable{Name: "SHUTDOWN_TIMEOUT", Value: strconv.Itoa(f.Timeout)})
	}
	c := container(f, f.Name, step)
	c["ports"] = []Object{{"name": portName, "containerPort": f.Port}}
	c["readinessProbe"] = probe(readyPath(f), portName, 2)
	// A function that loads is alive as long as its FUNC_LOAD_TIMEOUT lasts.
	c["livenessProbe"] = probe("/healthz", portName, 10)
	mounts := c["volumeMounts"].([]Object)
	if f.Image != "" {
		c["image"] = f.Image
		mounts = mounts[1:]
	}
	for _, s := range f.Secrets {
		mounts = append(mounts, Object{"name": secretVolume(s), "mountPath": "/" + s.Name, "readOnly": true})
	}
	c["volumeMounts"] = mounts
	return c
}

// readyPath is where a server says whether it is ready.
func readyPath(f *function.Function) string { return cmp.Or(f.ReadyPath, "/readyz") }

// probe asks a path every so many seconds.
func probe(path string, port any, period int) Object {
	get := Object{"path": path}
	if port != nil {
		get["port"] = port
	}
	return Object{"httpGet": get, "periodSeconds": period, "timeoutSeconds": 2}
}

func resources(f *function.Function) Object {
	limits := map[string]string{}
	for name, value := range map[string]string{"memory": f.Memory, "cpu": f.CPU} {
		if value != "" {
			limits[name] = value
		}
	}
	if len(limits) == 0 {
		return nil
	}
	return Object{"limits": limits, "requests": limits}
}

// environment is one where nothing is left to expand.
func environment(variables []function.Variable) []Object {
	var all []Object
	for _, v := range variables {
		all = append(all, Object{"name": v.Name, "value": escaped(v.Value)})
	}
	return all
}

// literal is a command where nothing is left to expand.
func literal(command []string) []string {
	var all []string
	for _, word := range command {
		all = append(all, escaped(word))
	}
	return all
}

// escaped is what Kubernetes reads as text: it takes $$ for $, and $(NAME) for a
// variable's value.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte(text[i])
		if text[i] == '$' && i+1 < len(text) && (text[i+1] == '$' || text[i+1] == '(') {
			b.WriteByte('$')
		}
	}
	return b.String()
}

// isText tells whether a ConfigMap takes content as text, for people to read.
func isText(content []byte) bool {
	encoded, err := json.Marshal(string(content))
	if err != nil {
		return false
	}
	var decoded string
	return json.Unmarshal(encoded, &decoded) == nil && decoded == string(content) && !strings.Contains(decoded, "\x00")
}
