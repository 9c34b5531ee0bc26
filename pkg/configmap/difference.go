package configmap

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Kinds of changes.
const (
	Added    = "added"
	Removed  = "removed"
	Repinned = "repinned"
	Changed  = "changed"
)

// A Change is one thing that applying a ConfigMap changes in the live one: of
// a runtime's version, of an image of one, or of another key.
type Change struct {
	Kind string `json:"kind"`
	// Runtime and Version name the version that is added, removed or changed,
	// and Phase the image of it that is repinned. They are empty for other keys.
	Runtime string `json:"runtime,omitempty"`
	Version string `json:"version,omitempty"`
	Phase   string `json:"phase,omitempty"`
	// Key is the data key.
	Key string `json:"key"`
	// Old and New are references of images, or values of other keys.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// Difference is what applying c changes in live, in order: versions as the
// manifests have them, those that go after them, then other keys. Keys of others
// are no difference: they stay.
func (c *ConfigMap) Difference(live *Live) []Change {
	changes := runtimeChanges(live.Data[Key], c.object.Data[Key])
	for _, key := range slices.Sorted(maps.Keys(c.object.Data)) {
		old, there := live.Data[key]
		change := Change{Kind: Changed, Key: key, Old: old, New: c.object.Data[key]}
		if !there {
			change.Kind = Added
		}
		if key != Key && (!there || old != change.New) {
			changes = append(changes, change)
		}
	}
	for _, key := range c.dropped(live) {
		changes = append(changes, Change{Kind: Removed, Key: key, Old: live.Data[key]})
	}
	return changes
}

// runtimeChanges compares two values of runtime-images. What differs and no
// version shows (a runtime's depName, spaces) is one change of the key.
func runtimeChanges(old, next string) []Change {
	if old == next {
		return nil
	}
	before, oldErr := versionsOf(old)
	after, nextErr := versionsOf(next)
	if oldErr != nil || nextErr != nil {
		return []Change{{Kind: Changed, Key: Key}}
	}
	var changes []Change
	for _, v := range after {
		i := slices.IndexFunc(before, v.same)
		if i < 0 {
			changes = append(changes, Change{Kind: Added, Key: Key, Runtime: v.runtime, Version: v.version})
			continue
		}
		changes = append(changes, v.changes(before[i])...)
	}
	for _, v := range before {
		if !slices.ContainsFunc(after, v.same) {
			changes = append(changes, Change{Kind: Removed, Key: Key, Runtime: v.runtime, Version: v.version})
		}
	}
	if len(changes) == 0 && old != "" {
		changes = append(changes, Change{Kind: Changed, Key: Key})
	}
	return changes
}

// A published is a version of a runtime as the controller finds it.
type published struct {
	runtime, version string
	images           map[string]string // references by phase
	rest             string            // all else, in JSON
}

func (v published) same(other published) bool {
	return v.runtime == other.runtime && v.version == other.version
}

// changes are those that made v of before.
func (v published) changes(before published) []Change {
	var changes []Change
	change := Change{Key: Key, Runtime: v.runtime, Version: v.version}
	phases := maps.Clone(v.images)
	maps.Copy(phases, before.images)
	for _, phase := range slices.Sorted(maps.Keys(phases)) {
		change.Kind, change.Phase, change.Old, change.New = Repinned, phase, before.images[phase], v.images[phase]
		switch {
		case change.Old == change.New:
			continue
		case change.Old == "":
			change.Kind = Added
		case change.New == "":
			change.Kind = Removed
		}
		changes = append(changes, change)
	}
	if v.rest != before.rest {
		changes = append(changes, Change{Kind: Changed, Key: Key, Runtime: v.runtime, Version: v.version})
	}
	return changes
}

// versionsOf reads runtime-images as the controller does: YAML, keys in any
// case, the first of two that are the same.
func versionsOf(text string) ([]published, error) {
	var document []map[string]any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, fmt.Errorf("reading %s: %w", Key, err)
	}
	var all []published
	for _, runtime := range document {
		runtime = lower(runtime)
		versions, _ := runtime["versions"].([]any)
		for _, value := range versions {
			version, ok := value.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("reading %s: a version is no object", Key)
			}
			version = lower(version)
			v := published{runtime: fmt.Sprint(runtime["id"]), version: fmt.Sprint(version["version"])}
			v.images, version["images"] = imagesOf(version["images"])
			rest, err := json.Marshal([]any{runtime["depname"], runtime["filenamesuffix"], runtime["livenessprobeinfo"], version})
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", Key, err)
			}
			if v.rest = string(rest); !slices.ContainsFunc(all, v.same) {
				all = append(all, v)
			}
		}
	}
	return all, nil
}

// imagesOf splits a version's images into references by phase and all else.
func imagesOf(value any) (map[string]string, any) {
	references, rest := map[string]string{}, map[string]any{}
	list, _ := value.([]any)
	for _, entry := range list {
		image, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		image = lower(image)
		phase := fmt.Sprint(image["phase"])
		if _, seen := references[phase]; seen {
			continue
		}
		references[phase] = fmt.Sprint(image["image"])
		delete(image, "image")
		rest[phase] = image
	}
	return references, rest
}

// lower is an object with its own keys in lower case.
func lower(object map[string]any) map[string]any {
	lowered := map[string]any{}
	for key, value := range object {
		lowered[strings.ToLower(key)] = value
	}
	return lowered
}
