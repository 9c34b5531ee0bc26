package kubernetes

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// live are the Deployments of functions in a namespace, of all where it is empty,
// by namespace and name.
func (d *Deployer) live(ctx context.Context, namespace string, labels map[string]string) ([]liveObject, error) {
	encoded, err := d.Cluster.List(ctx, "deployments", namespace, labels)
	if err != nil {
		return nil, err
	}
	all, err := readList(encoded)
	slices.SortFunc(all, func(a, b liveObject) int {
		return cmp.Or(strings.Compare(a.Metadata.Namespace, b.Metadata.Namespace), strings.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	return all, err
}

// existing is a function's Deployment.
func (d *Deployer) existing(ctx context.Context, namespace, name string) (liveObject, error) {
	all, err := d.live(ctx, namespace, map[string]string{managerLabel: manager})
	if err != nil {
		return liveObject{}, err
	}
	missing := &function.NotFoundError{Name: name, Namespace: namespace}
	for _, o := range all {
		if o.Metadata.Name == name {
			return o, nil
		}
		missing.There = append(missing.There, o.Metadata.Name)
	}
	return liveObject{}, missing
}

// List implements function.Target.
func (d *Deployer) List(ctx context.Context, namespace string) ([]function.Status, error) {
	all, err := d.live(ctx, namespace, map[string]string{managerLabel: manager})
	if err != nil {
		return nil, err
	}
	var statuses []function.Status
	for _, o := range all {
		status, err := o.status()
		if err != nil {
			return nil, err
		}
		statuses = append(statuses, status)
	}
	return statuses, nil
}

// Describe implements function.Target.
func (d *Deployer) Describe(ctx context.Context, namespace, name string) (function.Status, error) {
	o, err := d.existing(ctx, namespace, name)
	if err != nil {
		return function.Status{}, err
	}
	return o.status()
}

// status is that of a function's Deployment.
func (o liveObject) status() (function.Status, error) {
	record, err := o.record()
	if err != nil {
		return function.Status{}, err
	}
	s := function.Status{Name: o.Metadata.Name, Namespace: o.Metadata.Namespace, Record: record, Status: function.StatusReady, Deployed: o.Metadata.CreationTimestamp}
	s.URL = fmt.Sprintf("http://%s.%s.svc:%d", s.Name, s.Namespace, record.Port)
	wanted := o.wanted()
	if o.Status.ObservedGeneration < o.Metadata.Generation || o.Status.AvailableReplicas < wanted || o.Status.UpdatedReplicas < wanted {
		s.Status = fmt.Sprintf("%d of %d Pods serve", o.Status.AvailableReplicas, wanted)
	}
	return s, nil
}

// is tells whether a Deployment is the one that another was, from the same
// objects: its status and what others set besides do not count.
func (o liveObject) is(was liveObject) bool {
	same := func(annotation string) bool {
		return o.Metadata.Annotations[annotation] == was.Metadata.Annotations[annotation]
	}
	return o.Metadata.UID == was.Metadata.UID && same(appliedAnnotation) && same(recordAnnotation)
}

func (o liveObject) record() (r function.Record, err error) {
	if err = json.Unmarshal([]byte(o.Metadata.Annotations[recordAnnotation]), &r); err != nil {
		err = fmt.Errorf("reading the annotation %s of the deployment %s: %w", recordAnnotation, o.Metadata.Name, err)
	}
	return r, err
}

// Source implements function.Target.
func (d *Deployer) Source(ctx context.Context, namespace, name string) (function.Source, []byte, error) {
	o, err := d.existing(ctx, namespace, name)
	if err != nil {
		return function.Source{}, nil, err
	}
	record, err := o.record()
	if err != nil {
		return function.Source{}, nil, err
	}
	for _, v := range o.Spec.Template.Spec.Volumes {
		if v.Name != sourceName || v.ConfigMap == nil {
			continue
		}
		content, err := d.content(ctx, namespace, v.ConfigMap.Name)
		if err != nil {
			return function.Source{}, nil, err
		}
		source := function.Source{Origin: record.Source, Bundle: record.Bundle, Digest: record.Digest}
		var dependencies []byte
		for _, item := range v.ConfigMap.Items {
			file := function.File{Name: strings.TrimPrefix(item.Path, sourceName+"/"), Content: content[item.Key], Executable: item.Mode&0o111 != 0}
			if item.Key == dependenciesKey {
				dependencies = file.Content
				continue
			}
			source.Files = append(source.Files, file)
		}
		return source, dependencies, nil
	}
	return function.Source{}, nil, fmt.Errorf("the deployment %s has no source: deploy the function again", name)
}

// content is what a ConfigMap holds.
func (d *Deployer) content(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	encoded, err := d.Cluster.Get(ctx, "configmap", namespace, name)
	if err != nil {
		return nil, err
	}
	var configMap struct{ Data, BinaryData map[string]string }
	if encoded == nil {
		return nil, fmt.Errorf("the configmap %s is gone", name)
	}
	if err := json.Unmarshal(encoded, &configMap); err != nil {
		return nil, fmt.Errorf("reading the configmap %s: %w", name, err)
	}
	content := map[string][]byte{}
	for key, text := range configMap.Data {
		content[key] = []byte(text)
	}
	for key, text := range configMap.BinaryData {
		if content[key], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("reading the configmap %s: %w", name, err)
		}
	}
	return content, nil
}

// Call implements function.Target.
func (d *Deployer) Call(ctx context.Context, namespace, name string, c function.Call) (function.Answer, error) {
	o, err := d.existing(ctx, namespace, name)
	if err != nil {
		return function.Answer{}, err
	}
	record, err := o.record()
	if err != nil {
		return function.Answer{}, err
	}
	return d.request(ctx, namespace, "service/"+name, record.Port, "/", c)
}

// request sends a request to a port of an object.
func (d *Deployer) request(ctx context.Context, namespace, object string, port int, path string, c function.Call) (_ function.Answer, err error) {
	address, closed, err := d.Cluster.Forward(ctx, namespace, object, port)
	if err != nil {
		return function.Answer{}, err
	}
	defer func() {
		if closeErr := closed(); err == nil && closeErr != nil {
			err = fmt.Errorf("closing the way to %s: %w", object, closeErr)
		}
	}()
	return c.Send(ctx, "http://"+address+path, object)
}

// Logs implements function.Target.
func (d *Deployer) Logs(ctx context.Context, namespace, name string, follow bool, out io.Writer) error {
	if _, err := d.existing(ctx, namespace, name); err != nil {
		return err
	}
	return d.Cluster.Follow(ctx, namespace, name, selector(name), follow, out)
}

// Delete implements function.Target.
func (d *Deployer) Delete(ctx context.Context, namespace, name string) error {
	if _, err := d.existing(ctx, namespace, name); err != nil {
		return err
	}
	return d.discard(ctx, namespace, name)
}
