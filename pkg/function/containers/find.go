package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// found is what a host has of a function.
type found struct {
	// front is nil if there is none.
	front Kept
	// servers are its generations, the current one last.
	servers []Kept
}

// find is what the host has of a function, which may be nothing.
func (l *Local) find(ctx context.Context, namespace, name string) (found, error) {
	var f found
	all, err := l.Host.Find(ctx, map[string]string{namespaceLabel: namespace, nameLabel: name})
	if err != nil {
		return f, err
	}
	for _, k := range all {
		switch k.Labels()[partLabel] {
		case frontPart:
			f.front = k
		case serverPart:
			f.servers = append(f.servers, k)
		}
	}
	return f, l.sort(ctx, &f)
}

// sort puts the generation last that the front sends calls to: a newer one may
// be there of a run that was killed.
func (l *Local) sort(ctx context.Context, f *found) error {
	if f.front == nil || len(f.servers) < 2 {
		return nil
	}
	upstream, err := f.front.Read(ctx, frontFolder+"/"+upstreamFile)
	if err != nil {
		return err
	}
	current := func(k Kept) int {
		if strings.HasPrefix(string(upstream), k.Labels()[generationLabel]+":") {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(f.servers, func(a, b Kept) int { return cmp.Compare(current(a), current(b)) })
	return nil
}

// existing is find, and an error if there is nothing.
func (l *Local) existing(ctx context.Context, namespace, name string) (found, error) {
	f, err := l.find(ctx, namespace, name)
	if err != nil || f.front != nil || len(f.servers) > 0 {
		return f, err
	}
	missing := &function.NotFoundError{Name: name, Namespace: namespace}
	all, err := l.Host.Find(ctx, map[string]string{namespaceLabel: namespace, partLabel: frontPart})
	for _, k := range all {
		missing.There = append(missing.There, k.Labels()[nameLabel])
	}
	slices.Sort(missing.There)
	return f, errors.Join(err, missing)
}

// server is the current generation of a function.
func (l *Local) server(ctx context.Context, namespace, name string) (found, Kept, error) {
	f, err := l.existing(ctx, namespace, name)
	if err != nil {
		return f, nil, err
	}
	if len(f.servers) == 0 {
		return f, nil, fmt.Errorf("function %s has no container that serves it: deploy it again", name)
	}
	return f, f.servers[len(f.servers)-1], nil
}

// List is the functions of a namespace by name, or with no name all of them.
func (l *Local) List(ctx context.Context, namespace string) ([]function.Status, error) {
	labels := map[string]string{partLabel: frontPart}
	if namespace != "" {
		labels[namespaceLabel] = namespace
	}
	fronts, err := l.Host.Find(ctx, labels)
	if err != nil {
		return nil, err
	}
	var all []function.Status
	for _, front := range fronts {
		status, err := l.Describe(ctx, front.Labels()[namespaceLabel], front.Labels()[nameLabel])
		if err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	slices.SortFunc(all, func(a, b function.Status) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return all, nil
}

// Describe is what there is to know of a function.
func (l *Local) Describe(ctx context.Context, namespace, name string) (function.Status, error) {
	f, server, err := l.server(ctx, namespace, name)
	if err != nil {
		return function.Status{}, err
	}
	record, err := readRecord(server.Labels())
	if err != nil {
		return function.Status{}, err
	}
	status := function.Status{Name: name, Namespace: namespace, Record: record, Deployed: server.Created().UTC()}
	if f.front != nil {
		status.URL = f.front.URL()
	}
	status.Status, err = l.condition(ctx, f, server)
	return status, err
}

// condition is whether a function is ready, or why not.
func (l *Local) condition(ctx context.Context, f found, server Kept) (string, error) {
	if f.front == nil {
		return "it has no address: deploy it again", nil
	}
	state, err := server.State(ctx)
	if err != nil {
		return "", err
	}
	if !state.Running {
		return fmt.Sprintf("ended with exit code %d", state.ExitCode), nil
	}
	status, reason, err := probeOf(f.front).Ask(ctx)
	switch {
	case err != nil:
		return "", err
	case status == http.StatusOK:
		return function.StatusReady, nil
	case status == 0:
		return "does not answer", nil
	}
	return strings.TrimSpace(reason), nil
}

// Source is what a function was deployed from, and its dependency file.
func (l *Local) Source(ctx context.Context, namespace, name string) (function.Source, []byte, error) {
	_, server, err := l.server(ctx, namespace, name)
	if err != nil {
		return function.Source{}, nil, err
	}
	record, err := readRecord(server.Labels())
	if err != nil {
		return function.Source{}, nil, err
	}
	volumes, err := l.Host.FindVolumes(ctx, map[string]string{
		namespaceLabel: namespace, nameLabel: name, generationLabel: server.Labels()[generationLabel], partLabel: sourcePart,
	})
	if err != nil {
		return function.Source{}, nil, err
	}
	if len(volumes) != 1 {
		return function.Source{}, nil, fmt.Errorf("the source of function %s is not kept: name it again", name)
	}
	files, err := l.Host.ReadVolume(ctx, server.Image(), volumes[0])
	if err != nil {
		return function.Source{}, nil, err
	}
	source := function.Source{Origin: record.Source, Bundle: record.Bundle, Digest: record.Digest}
	var dependencies []byte
	for _, file := range files {
		rest, ok := strings.CutPrefix(file.Name, sourceFiles)
		switch {
		case ok:
			file.Name = rest
			source.Files = append(source.Files, file)
		case file.Name == sourceDeps:
			dependencies = file.Content
		}
	}
	return source, dependencies, nil
}

// Logs copies what a function printed to out, and with follow what it will
// print, until ctx ends or its container does.
func (l *Local) Logs(ctx context.Context, namespace, name string, follow bool, out io.Writer) error {
	_, server, err := l.server(ctx, namespace, name)
	if err != nil {
		return err
	}
	return server.Follow(ctx, follow, out)
}

// Delete ends a function when it has answered what it had, and removes all of
// it.
func (l *Local) Delete(ctx context.Context, namespace, name string) error {
	unlock, err := l.alone(ctx, functionLock(namespace, name))
	if err != nil {
		return err
	}
	defer unlock()
	f, err := l.existing(ctx, namespace, name)
	if err != nil {
		return errors.Join(err, l.clear(ctx, namespace, name)) // a run that was killed left volumes alone
	}
	var errs []error
	if f.front != nil {
		errs = append(errs, l.removeFront(ctx, f.front, function.DefaultTimeout*time.Second))
	}
	for _, server := range f.servers {
		errs = append(errs, l.retire(ctx, server))
	}
	return errors.Join(append(errs, l.clear(ctx, namespace, name))...)
}

// discard ends a function at once, and removes all of it.
func (l *Local) discard(ctx context.Context, namespace, name string) error {
	f, err := l.find(ctx, namespace, name)
	if err != nil {
		return err
	}
	var errs []error
	if f.front != nil {
		errs = append(errs, f.front.Remove(ctx))
	}
	for _, server := range f.servers {
		errs = append(errs, server.Remove(ctx))
	}
	return errors.Join(append(errs, l.clear(ctx, namespace, name))...)
}

// clear removes what a function whose containers are gone has left, and the
// network if it was the last one in it.
func (l *Local) clear(ctx context.Context, namespace, name string) error {
	return errors.Join(l.removeVolumes(ctx, map[string]string{namespaceLabel: namespace, nameLabel: name}), l.leave(ctx, namespace))
}

// Call implements function.Target.
func (l *Local) Call(ctx context.Context, namespace, name string, c function.Call) (function.Answer, error) {
	f, err := l.existing(ctx, namespace, name)
	if err != nil {
		return function.Answer{}, err
	}
	if f.front == nil {
		return function.Answer{}, fmt.Errorf("function %s has no address: deploy it again", name)
	}
	return c.Send(ctx, f.front.URL()+"/", name)
}
