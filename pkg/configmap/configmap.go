// Package configmap makes the ConfigMap that the function controller reads:
// the merged manifests under runtime-images, and every other key that the
// controller or its Deployment needs. Applying a ConfigMap without those
// keys can delete them from the live one, and a controller without them does
// not start.
package configmap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/pkg/config"
)

// Key is the data key that holds the runtimes.
const Key = "runtime-images"

// Size limits, in bytes, as the API server and kubectl enforce them.
const (
	// maxData bounds the sum of a ConfigMap's keys and values.
	maxData = 1 << 20
	// maxAnnotations bounds the sum of an object's annotations, one of which
	// holds the whole object after a client-side kubectl apply.
	maxAnnotations = 256 << 10
)

// Options describe the ConfigMap.
type Options struct {
	// Name and Namespace default to those that the controller reads:
	// kubeless-config in kubeless.
	Name, Namespace string
	// Data are keys beside runtime-images; they win over the defaults.
	Data map[string]string
	// OnlyRuntimes leaves out every other key.
	OnlyRuntimes bool
	// NamespaceObject puts the Namespace before the ConfigMap.
	NamespaceObject bool
	// ServerSide says that the ConfigMap will be applied on the server's
	// side, where maxAnnotations does not bound it.
	ServerSide bool
}

// With is o with what a repository's settings say of what is published.
func (o Options) With(settings config.Published) Options {
	o.Name, o.Namespace, o.Data = settings.Name, settings.Namespace, settings.Data
	return o
}

// Defaults are the keys beside runtime-images with the values of the
// controller's own manifest, v1.0.8.
func Defaults() map[string]string {
	return map[string]string{
		"builder-image":                "kubeless/function-image-builder:latest",
		"builder-image-secret":         "",
		"deployment":                   "{}",
		"enable-build-step":            "false",
		"function-registry-tls-verify": "true",
		"ingress-enabled":              "false",
		"provision-image":              "kubeless/unzip@sha256:e867f9b366ffb1a25f14baf83438db426ced4f7add56137b7300d32507229b5a",
		"provision-image-secret":       "",
		"service-type":                 "ClusterIP",
	}
}

type object struct {
	APIVersion string            `json:"apiVersion" yaml:"apiVersion"`
	Kind       string            `json:"kind" yaml:"kind"`
	Metadata   metadata          `json:"metadata" yaml:"metadata"`
	Data       map[string]string `json:"data,omitempty" yaml:"-"`
}

type metadata struct {
	Annotations *struct{} `json:"annotations,omitempty" yaml:"-"`
	Name        string    `json:"name" yaml:"name"`
	Namespace   string    `json:"namespace,omitempty" yaml:"namespace,omitempty"`
}

// A ConfigMap is ready to be printed.
type ConfigMap struct {
	object    object
	namespace *object
	partial   bool // without keys that belong to it
}

// New makes the ConfigMap. runtimes is the evaluated root document, as JSON;
// replace gives references by JSON pointer that stand in for those in it.
// Too large a ConfigMap is an error that says which limit it passes.
func New(runtimes []byte, replace map[string]string, opts Options) (*ConfigMap, error) {
	text, err := runtimeImages(runtimes, replace)
	if err != nil {
		return nil, err
	}
	name, namespace := opts.Name, opts.Namespace
	if name == "" {
		name = "kubeless-config"
	}
	if namespace == "" {
		namespace = "kubeless"
	}
	data := map[string]string{}
	if !opts.OnlyRuntimes {
		data = Defaults()
		maps.Copy(data, opts.Data)
	}
	data[Key] = text
	c := &ConfigMap{object: object{APIVersion: "v1", Kind: "ConfigMap", Metadata: metadata{Name: name, Namespace: namespace}, Data: data}, partial: opts.OnlyRuntimes}
	if opts.NamespaceObject {
		c.namespace = &object{APIVersion: "v1", Kind: "Namespace", Metadata: metadata{Name: namespace}}
	}
	return c, c.checkSize(opts.ServerSide)
}

func (c *ConfigMap) checkSize(serverSide bool) error {
	size := 0
	for key, value := range c.object.Data {
		size += len(key) + len(value)
	}
	if size > maxData {
		return fmt.Errorf("the ConfigMap holds %d bytes of data, and Kubernetes takes %d: split the runtimes over two clusters, or drop old versions", size, maxData)
	}
	if serverSide {
		return nil
	}
	annotated := c.object
	annotated.Metadata.Annotations = &struct{}{}
	applied, err := json.Marshal(annotated)
	if err != nil {
		return fmt.Errorf("measuring the ConfigMap: %w", err)
	}
	if size := len("kubectl.kubernetes.io/last-applied-configuration") + len(applied) + len("\n"); size > maxAnnotations {
		return fmt.Errorf("kubectl apply would annotate the ConfigMap with %d bytes, and Kubernetes takes %d: print it with --server-side, and apply it with kubectl apply --server-side", size, maxAnnotations)
	}
	return nil
}

// runtimeImages is the document as the controller reads it: JSON, indented,
// keys sorted, a newline at the end. The controller reads it as YAML 1.1,
// which refuses raw control characters and escaped surrogate pairs; other
// characters stay as they are.
func runtimeImages(runtimes []byte, replace map[string]string) (string, error) {
	var document any
	decoder := json.NewDecoder(bytes.NewReader(runtimes))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return "", fmt.Errorf("reading the evaluated runtimes: %w", err)
	}
	for _, pointer := range slices.Sorted(maps.Keys(replace)) {
		if err := set(document, pointer, replace[pointer]); err != nil {
			return "", err
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return "", fmt.Errorf("printing the runtimes: %w", err)
	}
	return escapeControls(out.String()), nil
}

// escapeControls escapes DEL and the C1 controls, which encoding/json leaves
// raw. They only occur inside strings.
func escapeControls(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0x7f && r <= 0x9f {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// set replaces the string at a JSON pointer.
func set(document any, pointer, value string) error {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, token := range tokens {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		last := i == len(tokens)-1
		switch node := document.(type) {
		case map[string]any:
			if last {
				node[token] = value
			}
			document = node[token]
		case []any:
			var index int
			if _, err := fmt.Sscanf(token, "%d", &index); err != nil || index < 0 || index >= len(node) {
				return fmt.Errorf("replacing %s: no such element", pointer)
			}
			if last {
				node[index] = value
			}
			document = node[index]
		default:
			return fmt.Errorf("replacing %s: no such field", pointer)
		}
	}
	return nil
}

// YAML prints the ConfigMap, the runtimes as a block of readable JSON. The
// bytes depend on the content alone.
func (c *ConfigMap) YAML() ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if c.namespace != nil {
		if err := encoder.Encode(c.namespace); err != nil {
			return nil, fmt.Errorf("printing the Namespace: %w", err)
		}
	}
	var node yaml.Node
	if err := node.Encode(c.object); err != nil {
		return nil, fmt.Errorf("printing the ConfigMap: %w", err)
	}
	data := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(c.object.Data)) {
		value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: c.object.Data[key]}
		if strings.Contains(value.Value, "\n") {
			value.Style = yaml.LiteralStyle
		}
		data.Content = append(data.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	}
	node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "data"}, data)
	if err := encoder.Encode(&node); err != nil {
		return nil, fmt.Errorf("printing the ConfigMap: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("printing the ConfigMap: %w", err)
	}
	return out.Bytes(), nil
}

// JSON prints the ConfigMap as one JSON object; with the Namespace it is a
// List of both.
func (c *ConfigMap) JSON() ([]byte, error) {
	var value any = c.object
	if c.namespace != nil {
		value = struct {
			APIVersion string   `json:"apiVersion"`
			Kind       string   `json:"kind"`
			Items      []object `json:"items"`
		}{"v1", "List", []object{*c.namespace, c.object}}
	}
	out, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("printing the ConfigMap: %w", err)
	}
	return append(out, '\n'), nil
}
