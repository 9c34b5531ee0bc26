package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A liveObject is what matters here of a Deployment, ReplicaSet, Pod or ConfigMap
// as the cluster has it.
type liveObject struct {
	Kind     string
	Metadata struct {
		Name                string
		Namespace           string
		UID                 string
		ResourceVersion     string
		Generation          int64
		Labels, Annotations map[string]string
		CreationTimestamp   time.Time
		DeletionTimestamp   *string
		OwnerReferences     []struct{ Name string }
	}
	Spec struct {
		Replicas *int
		Template struct {
			Spec struct {
				Volumes []struct {
					Name      string
					ConfigMap *struct {
						Name  string
						Items []struct {
							Key, Path string
							Mode      int
						}
					}
				}
			}
		}
	}
	Status struct {
		ObservedGeneration                                          int64
		Replicas, UpdatedReplicas, ReadyReplicas, AvailableReplicas int
		Phase, Reason, Message                                      string
		Conditions                                                  []condition
		InitContainerStatuses, ContainerStatuses                    []containerStatus
	}
}

type condition struct{ Type, Status, Reason, Message string }

type containerStatus struct {
	Name             string
	Ready            bool
	RestartCount     int
	State, LastState struct {
		Waiting    *struct{ Reason, Message string }
		Running    *struct{}
		Terminated *struct {
			ExitCode        int
			Reason, Message string
		}
	}
}

// A rollout is how far an update is.
type rollout struct {
	done bool
	// failure is what keeps it from ending, nil if nothing does.
	failure *failure
	// asking is a Pod whose server runs and is not ready.
	asking string
	// reason is what it waits for, and pod and container are those that it waits
	// for, where that is known.
	reason, pod, container string
}

// A failure is why a Pod does not serve.
type failure struct {
	pod, container, reason string
	// printed is whether the container has run, so that there is a log of it.
	printed bool
}

func (f failure) String() string {
	return strings.TrimSpace(strings.Join([]string{f.container, f.reason}, ": "))
}

func readList(encoded []byte) ([]liveObject, error) {
	var list struct{ Items []liveObject }
	if err := json.Unmarshal(encoded, &list); err != nil {
		return nil, fmt.Errorf("reading the cluster's answer: %w", err)
	}
	return list.Items, nil
}

// revisionAnnotation is of Deployments and their ReplicaSets.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// readRollout finds out how far the Deployment of this name is, from a List of
// it, its ReplicaSets and its Pods.
func readRollout(encoded []byte, name string) (rollout, error) {
	objects, err := readList(encoded)
	if err != nil {
		return rollout{}, err
	}
	i := slices.IndexFunc(objects, func(o liveObject) bool { return o.Kind == "Deployment" && o.Metadata.Name == name })
	if i < 0 {
		return rollout{}, fmt.Errorf("the deployment %s is gone", name)
	}
	d := objects[i]
	if d.Status.ObservedGeneration < d.Metadata.Generation {
		return rollout{reason: "the cluster has not seen it yet"}, nil
	}
	wanted, s := d.wanted(), d.Status
	if s.UpdatedReplicas >= wanted && s.AvailableReplicas >= wanted && s.Replicas == s.UpdatedReplicas {
		return rollout{done: true}, nil
	}
	state := rollout{reason: fmt.Sprintf("%d of %d new Pods are there, %d Pods serve", s.UpdatedReplicas, wanted, s.AvailableReplicas)}
	for _, c := range s.Conditions {
		if c.Type == "ReplicaFailure" && c.Status == "True" {
			state.failure = &failure{reason: c.Message}
			return state, nil
		}
	}
	for _, o := range objects {
		if o.Kind == "Pod" && o.Metadata.DeletionTimestamp == nil && ofRevision(o, objects, d.Metadata.Annotations[revisionAnnotation]) {
			state.see(o)
		}
	}
	return state, nil
}

// wanted is how many Pods a Deployment is to have.
func (o liveObject) wanted() int {
	if o.Spec.Replicas == nil {
		return 1
	}
	return *o.Spec.Replicas
}

// ofRevision tells whether a Pod is of the ReplicaSet that has a revision.
func ofRevision(pod liveObject, objects []liveObject, revision string) bool {
	return slices.ContainsFunc(objects, func(o liveObject) bool {
		return o.Kind == "ReplicaSet" && o.Metadata.Annotations[revisionAnnotation] == revision &&
			slices.ContainsFunc(pod.Metadata.OwnerReferences, func(owner struct{ Name string }) bool { return owner.Name == o.Metadata.Name })
	})
}

// see looks at a new Pod.
func (r *rollout) see(pod liveObject) {
	name := pod.Metadata.Name
	r.pod = name
	for _, c := range append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...) {
		if reason := c.failed(); reason != "" {
			r.failure = &failure{pod: name, container: c.Name, reason: reason, printed: c.ran()}
			return
		}
		if waiting := c.State.Waiting; waiting != nil && waiting.Reason != "PodInitializing" {
			r.reason = strings.TrimSpace(fmt.Sprintf("%s: %s %s", c.Name, waiting.Reason, waiting.Message))
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil && !c.Ready {
			r.asking, r.container = name, c.Name
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == "PodScheduled" && c.Status == "False" {
			r.reason = c.Message
		}
	}
}

// ran tells whether a container runs or ran, so that it may have printed something.
func (c containerStatus) ran() bool {
	return c.State.Running != nil || c.State.Terminated != nil || c.LastState.Terminated != nil
}

// failed is why a container will not come to run, empty if it may.
func (c containerStatus) failed() string {
	if waiting := c.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return waiting.Reason + ": " + waiting.Message
		}
	}
	ended := c.State.Terminated
	if ended == nil {
		ended = c.LastState.Terminated
	}
	// The kubelet's restarts of a server that was ready are no failure of the
	// update.
	if ended == nil || ended.ExitCode == 0 || c.State.Running != nil && c.RestartCount < 2 {
		return ""
	}
	if text := strings.TrimSpace(ended.Message); text != "" {
		return fmt.Sprintf("ended with exit code %d: %s", ended.ExitCode, text)
	}
	return fmt.Sprintf("ended with exit code %d (%s)", ended.ExitCode, ended.Reason)
}

// unusedSources are the ConfigMaps that no Deployment's and no ReplicaSet's Pods
// mount.
func unusedSources(encoded []byte) ([]string, error) {
	objects, err := readList(encoded)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, o := range objects {
		for _, v := range o.Spec.Template.Spec.Volumes {
			if v.ConfigMap != nil {
				used[v.ConfigMap.Name] = true
			}
		}
	}
	var unused []string
	for _, o := range objects {
		if o.Kind == "ConfigMap" && !used[o.Metadata.Name] {
			unused = append(unused, o.Metadata.Name)
		}
	}
	return unused, nil
}
