package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// A Cluster is where functions are deployed. It is safe for concurrent use.
type Cluster interface {
	// Get returns an object in JSON; nil if there is none.
	Get(ctx context.Context, kind, namespace, name string) ([]byte, error)
	// List returns the objects of some kinds ("pods,replicasets") that carry the
	// labels, as a List in JSON.
	List(ctx context.Context, kinds, namespace string, labels map[string]string) ([]byte, error)
	// Apply applies objects in JSON on the server's side, as manager, taking over
	// fields of others. A dry run changes nothing and checks everything.
	Apply(ctx context.Context, objects []byte, manager string, dryRun bool) error
	// Delete deletes the objects of some kinds that carry the labels, and does not
	// wait until they are gone.
	Delete(ctx context.Context, kinds, namespace string, labels map[string]string) error
	// DeleteNamed deletes one object. What is gone already is no error.
	DeleteNamed(ctx context.Context, kind, namespace, name string) error
	// Logs are the last lines that a Pod's container printed, of the run before
	// where it waits for the next.
	Logs(ctx context.Context, namespace, pod, container string, lines int) (string, error)
	// Events are those of the objects of this name, as a List in JSON.
	Events(ctx context.Context, namespace, name string) ([]byte, error)
	// Follow copies what the containers of this name print in all Pods that carry
	// the labels, and with follow what they will print.
	Follow(ctx context.Context, namespace, container string, labels map[string]string, follow bool, out io.Writer) error
	// Forward opens a way to a port of an object ("service/NAME", "pod/NAME") and
	// returns its address here, HOST:PORT, until closed.
	Forward(ctx context.Context, namespace, object string, port int) (address string, closed func() error, err error)
}

// appliedAnnotation holds the objects of a Deployment's last update but their
// source, so that a failed one can be taken back.
const appliedAnnotation = "dev.rtbuild/applied"

// pollInterval is how often a rollout is looked at, and cleanupLimit bounds what
// is done after a failure.
const (
	pollInterval = 500 * time.Millisecond
	cleanupLimit = time.Minute
)

var _ function.Target = (*Deployer)(nil)

// loadLimit is how long a function may take until it serves, its phases and its
// images' pulls included.
const loadLimit = 15 * time.Minute

// A Deployer keeps functions in a cluster. Annotations of Deployments are its only
// state.
type Deployer struct {
	Cluster Cluster
	// Say tells people how far a deployment is; nil tells nobody.
	Say func(format string, args ...any)
}

// Deploy implements function.Target. It returns when all Pods of the new version
// serve and those of the one before have got their last call. If that does not
// come to be, the error says why, with the end of the log, and the version before
// serves on.
func (d *Deployer) Deploy(ctx context.Context, f *function.Function, _ function.Placing) (function.Status, error) {
	if err := f.Check(); err != nil {
		return function.Status{}, err
	}
	described, err := Objects(f)
	if err != nil {
		return function.Status{}, err
	}
	objects, err := plain(described)
	if err != nil {
		return function.Status{}, err
	}
	before, there, err := d.applied(ctx, f.Namespace, f.Name)
	if err != nil {
		return function.Status{}, err
	}
	if err := remember(objects); err != nil {
		return function.Status{}, err
	}
	if err := d.apply(ctx, objects, true); err != nil {
		return function.Status{}, err
	}
	// What is refused all the same may be one of several objects.
	if err := d.apply(ctx, objects, false); err != nil {
		return function.Status{}, errors.Join(err, d.takeBack(ctx, f, before, there))
	}
	waiting, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	if err := d.await(waiting, f); err != nil {
		return function.Status{}, errors.Join(err, d.takeBack(ctx, f, before, there))
	}
	if err := d.prune(ctx, f); err != nil {
		return function.Status{}, err
	}
	return d.Describe(ctx, f.Namespace, f.Name)
}

// applied are the objects of the last Deploy, none if what is there was applied by
// other means. A Deployment or Service of another maker is an error.
func (d *Deployer) applied(ctx context.Context, namespace, name string) (objects []Object, there bool, err error) {
	if _, err := d.own(ctx, "service", namespace, name); err != nil {
		return nil, false, err
	}
	live, err := d.own(ctx, "deployment", namespace, name)
	if err != nil || live == nil {
		return nil, false, err
	}
	if text := live.Metadata.Annotations[appliedAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &objects); err != nil {
			return nil, true, fmt.Errorf("reading what the deployment %s was: %w", name, err)
		}
	}
	return objects, true, nil
}

// own is an object of this name, nil if there is none. One of another maker is an
// error.
func (d *Deployer) own(ctx context.Context, kind, namespace, name string) (*liveObject, error) {
	encoded, err := d.Cluster.Get(ctx, kind, namespace, name)
	if err != nil || encoded == nil {
		return nil, err
	}
	var live liveObject
	if err := json.Unmarshal(encoded, &live); err != nil {
		return nil, fmt.Errorf("reading the %s %s: %w", kind, name, err)
	}
	if live.Metadata.Labels[managerLabel] != manager {
		return nil, fmt.Errorf("the namespace %s has a %s %s that is no function of rtbuild's: take another name, or delete it", namespace, kind, name)
	}
	return &live, nil
}

// remember notes in the Deployment what it and its Service are.
func remember(objects []Object) error {
	noted := slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return o["kind"] == "ConfigMap" })
	text, err := json.Marshal(noted)
	if err != nil {
		return fmt.Errorf("noting what is applied: %w", err)
	}
	for _, object := range objects {
		if object["kind"] != "Deployment" {
			continue
		}
		meta, _ := object["metadata"].(map[string]any)
		annotations, _ := meta["annotations"].(map[string]any)
		if annotations == nil {
			return errors.New("noting what is applied: the deployment has no annotations")
		}
		annotations[appliedAnnotation] = string(text)
	}
	return nil
}

// plain are objects as they are read from JSON.
func plain(objects []Object) (read []Object, err error) {
	encoded, err := json.Marshal(objects)
	if err == nil {
		err = json.Unmarshal(encoded, &read)
	}
	if err != nil {
		return nil, fmt.Errorf("printing the function: %w", err)
	}
	return read, nil
}

func (d *Deployer) apply(ctx context.Context, objects []Object, dryRun bool) error {
	encoded, err := json.Marshal(List(objects))
	if err != nil {
		return fmt.Errorf("printing the function: %w", err)
	}
	return d.Cluster.Apply(ctx, encoded, manager, dryRun)
}

// List is one object of several.
func List(objects []Object) Object {
	return Object{"apiVersion": core, "kind": "List", "items": objects}
}

// takeBack undoes a Deploy that failed, also when ctx has ended.
func (d *Deployer) takeBack(ctx context.Context, f *function.Function, before []Object, there bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	switch {
	case !there:
		return d.discard(ctx, f.Namespace, f.Name)
	case len(before) == 0:
		return errors.New("the version before was applied by other means than rtbuild function deploy: it serves on, and the new one is tried on and on until it is applied again")
	}
	if err := remember(before); err != nil {
		return err
	}
	if err := d.apply(ctx, before, false); err != nil {
		return fmt.Errorf("going back to the version before: %w", err)
	}
	return d.prune(ctx, f)
}

// await waits until the function's new Pods serve and the old ones are gone.
func (d *Deployer) await(ctx context.Context, f *function.Function) error {
	var last rollout
	for {
		state, err := d.look(ctx, f)
		switch {
		case err == nil && state.done:
			return nil
		case err == nil && state.failure != nil:
			return d.explain(ctx, f, *state.failure)
		case err == nil && state.reason != last.reason:
			last = state
			d.say("%s: %s", f.Name, last.reason)
		case err != nil && ctx.Err() == nil:
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return d.explain(ctx, f, failure{pod: last.pod, container: last.container, reason: "not in time: " + last.reason, printed: last.container != ""})
			}
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

// look finds out how far a rollout is. A server that is not ready is asked why.
func (d *Deployer) look(ctx context.Context, f *function.Function) (rollout, error) {
	encoded, err := d.Cluster.List(ctx, "deployments,replicasets,pods", f.Namespace, selector(f.Name))
	if err != nil {
		return rollout{}, err
	}
	state, err := readRollout(encoded, f.Name)
	if err != nil || state.asking == "" {
		return state, err
	}
	// A Pod that ended meanwhile is seen at the next look.
	if answer, err := d.request(ctx, f.Namespace, "pod/"+state.asking, f.Port, readyPath(f), function.Call{}); err == nil {
		state.reason = strings.TrimSpace(string(answer.Body))
	}
	if strings.HasPrefix(state.reason, "crash-looping") {
		state.failure = &failure{pod: state.asking, container: f.Name, reason: state.reason, printed: true}
	}
	return state, nil
}

// prune deletes sources that no revision of the function has any more.
func (d *Deployer) prune(ctx context.Context, f *function.Function) error {
	encoded, err := d.Cluster.List(ctx, "configmaps,replicasets", f.Namespace, selector(f.Name))
	if err != nil {
		return err
	}
	unused, err := unusedSources(encoded)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range unused {
		errs = append(errs, d.Cluster.DeleteNamed(ctx, "configmap", f.Namespace, name))
	}
	return errors.Join(errs...)
}

// discard deletes all that a function was made into.
func (d *Deployer) discard(ctx context.Context, namespace, name string) error {
	return d.Cluster.Delete(ctx, "deployments,services,configmaps", namespace, selector(name))
}

func (d *Deployer) say(format string, args ...any) {
	if d.Say != nil {
		d.Say(format, args...)
	}
}
