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

// ErrConflict says that an object is not the version any more that was to be
// changed.
var ErrConflict = errors.New("another changed it meanwhile")

// A Cluster is where functions are deployed. It is safe for concurrent use.
type Cluster interface {
	// Get returns an object in JSON; nil if there is none.
	Get(ctx context.Context, kind, namespace, name string) ([]byte, error)
	// List returns the objects of some kinds ("pods,replicasets") that carry the
	// labels, as a List in JSON.
	List(ctx context.Context, kinds, namespace string, labels map[string]string) ([]byte, error)
	// Apply applies objects in JSON on the server's side, as manager, taking over
	// fields of others. A dry run changes nothing and checks everything. An object
	// with a resourceVersion that it has no more is an ErrConflict.
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
	return d.deploy(ctx, f, nil)
}

// Update implements function.Target.
func (d *Deployer) Update(ctx context.Context, namespace, name string, _ function.Placing, change function.Change) (function.Status, error) {
	for {
		was, err := d.existing(ctx, namespace, name)
		if err != nil {
			return function.Status{}, err
		}
		status, err := was.status()
		if err != nil {
			return function.Status{}, err
		}
		f, err := change(ctx, status)
		if err != nil {
			return function.Status{}, err
		}
		deployed, err := d.deploy(ctx, f, &was)
		if !errors.Is(err, ErrConflict) {
			return deployed, err
		}
		d.say("%s was changed by another meanwhile: changing what that made", name)
	}
}

// deploy is Deploy; where was is the Deployment that the function is made of, it is
// an ErrConflict if that is another by now.
func (d *Deployer) deploy(ctx context.Context, f *function.Function, was *liveObject) (function.Status, error) {
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
	noted, err := remember(objects)
	if err != nil {
		return function.Status{}, err
	}
	before, err := d.replace(ctx, f, objects, was)
	if err == nil {
		waiting, cancel := context.WithTimeout(ctx, loadLimit)
		defer cancel()
		err = d.await(waiting, f)
	}
	switch {
	case before == nil:
		return function.Status{}, err
	case err != nil:
		return function.Status{}, errors.Join(err, d.takeBack(ctx, f, before, noted))
	}
	if err := d.prune(ctx, f); err != nil {
		return function.Status{}, err
	}
	return d.Describe(ctx, f.Namespace, f.Name)
}

// replace applies the objects of a function, those of a Deployment that was where
// there is one. It returns what was there before, nil if nothing is changed.
func (d *Deployer) replace(ctx context.Context, f *function.Function, objects []Object, was *liveObject) (*version, error) {
	for {
		before, err := d.before(ctx, f.Namespace, f.Name)
		if err != nil {
			return nil, err
		}
		if was != nil {
			if before.live == nil || !before.live.is(*was) {
				return nil, ErrConflict
			}
			setResourceVersion(objects, before.live.Metadata.ResourceVersion)
		}
		err = d.apply(ctx, objects, true)
		if err == nil {
			if err = d.apply(ctx, objects, false); !errors.Is(err, ErrConflict) {
				// What is refused all the same may be one of several objects.
				return before, err
			}
		}
		// Its status may be another, and no more.
		if was == nil || !errors.Is(err, ErrConflict) {
			return nil, err
		}
	}
}

// setResourceVersion has the server refuse the Deployment if it is another by then.
func setResourceVersion(objects []Object, resourceVersion string) {
	for _, object := range objects {
		if meta, ok := object["metadata"].(map[string]any); ok && object["kind"] == "Deployment" {
			meta["resourceVersion"] = resourceVersion
		}
	}
}

// A version is what a function is in the cluster.
type version struct {
	// live is nil if it is not there.
	live *liveObject
	// objects are those of the last Deploy, none if what is there was applied by
	// other means.
	objects []Object
}

// before is what is there of a function. A Deployment or Service of another maker
// is an error.
func (d *Deployer) before(ctx context.Context, namespace, name string) (*version, error) {
	if _, err := d.own(ctx, "service", namespace, name); err != nil {
		return nil, err
	}
	live, err := d.own(ctx, "deployment", namespace, name)
	if err != nil || live == nil {
		return &version{}, err
	}
	v := &version{live: live}
	if text := live.Metadata.Annotations[appliedAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &v.objects); err != nil {
			return nil, fmt.Errorf("reading what the deployment %s was: %w", name, err)
		}
	}
	return v, nil
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

// remember notes in the Deployment what it and its Service are, and returns that.
func remember(objects []Object) (string, error) {
	noted := slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return o["kind"] == "ConfigMap" })
	text, err := json.Marshal(noted)
	if err != nil {
		return "", fmt.Errorf("noting what is applied: %w", err)
	}
	for _, object := range objects {
		if object["kind"] != "Deployment" {
			continue
		}
		meta, _ := object["metadata"].(map[string]any)
		annotations, _ := meta["annotations"].(map[string]any)
		if annotations == nil {
			return "", errors.New("noting what is applied: the deployment has no annotations")
		}
		annotations[appliedAnnotation] = string(text)
	}
	return string(text), nil
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

// takeBack undoes a Deploy that failed, also when ctx has ended, unless another
// deployed after it what is there now.
func (d *Deployer) takeBack(ctx context.Context, f *function.Function, before *version, noted string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	now, err := d.own(ctx, "deployment", f.Namespace, f.Name)
	if err != nil {
		return err
	}
	switch {
	case now != nil && now.Metadata.Annotations[appliedAnnotation] != noted && (before.live == nil || !now.is(*before.live)):
		return fmt.Errorf("function %s was deployed by another meanwhile, which stays", f.Name)
	case before.live == nil:
		return d.discard(ctx, f.Namespace, f.Name)
	case len(before.objects) == 0:
		return errors.New("the version before was applied by other means than rtbuild function deploy: it serves on, and the new one is tried on and on until it is applied again")
	}
	if _, err := remember(before.objects); err != nil {
		return err
	}
	if err := d.apply(ctx, before.objects, false); err != nil {
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

// prune deletes sources that no revision of the function has any more. One that
// another deploys at this time has no ReplicaSet yet, but a Deployment.
func (d *Deployer) prune(ctx context.Context, f *function.Function) error {
	encoded, err := d.Cluster.List(ctx, "configmaps,deployments,replicasets", f.Namespace, selector(f.Name))
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
