package configmap

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// fieldManager is the name under which the cluster notes what is ours.
	fieldManager = "rtbuild"
	// keysAnnotation lists the keys that the last Apply brought, in order and
	// with commas between them: a key that it had and the next one has not goes.
	keysAnnotation = "dev.rtbuild/keys"
	// keptAnnotation lists keys of others that an Apply had to bring, too: they are
	// this manager's as well from then on, and go when it leaves them out.
	keptAnnotation = "dev.rtbuild/kept-keys"
	// appliedAnnotation is what kubectl apply leaves. At the first server-side
	// apply after it kubectl hands all that it noted there to the new manager, so
	// that what this one leaves out is deleted, whoever wrote it.
	appliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"
)

// A Live is a ConfigMap as a cluster has it.
type Live struct {
	Data        map[string]string
	annotations map[string]string
}

// ParseLive reads a ConfigMap in JSON, as kubectl get prints it.
func ParseLive(object []byte) (*Live, error) {
	var decoded struct {
		Kind     string
		Metadata struct{ Annotations map[string]string }
		Data     map[string]string
	}
	if err := json.Unmarshal(object, &decoded); err != nil {
		return nil, fmt.Errorf("reading the live ConfigMap: %w", err)
	}
	if decoded.Kind != "ConfigMap" {
		return nil, fmt.Errorf("reading the live ConfigMap: it is a %q", decoded.Kind)
	}
	return &Live{Data: decoded.Data, annotations: decoded.Metadata.Annotations}, nil
}

// ours are the keys that the last Apply brought, as far as they are still there.
func (l *Live) ours() []string { return l.noted(keysAnnotation) }

// noted are the keys that an annotation lists, as far as they are still there.
func (l *Live) noted(annotation string) []string {
	keys := strings.FieldsFunc(l.annotations[annotation], func(r rune) bool { return r == ',' })
	return slices.DeleteFunc(keys, func(key string) bool {
		_, there := l.Data[key]
		return !there
	})
}

// dropped are the keys that an earlier Apply brought and that c is without.
func (c *ConfigMap) dropped(live *Live) []string {
	if c.partial {
		return nil
	}
	return slices.DeleteFunc(live.ours(), func(key string) bool {
		_, wanted := c.object.Data[key]
		return wanted
	})
}

// carried are keys of the live ConfigMap that are to stay and that an apply
// without them would delete.
func (c *ConfigMap) carried(live *Live) map[string]string {
	kept := map[string]string{}
	_, applied := live.annotations[appliedAnnotation]
	ours, dropped := append(live.ours(), live.noted(keptAnnotation)...), c.dropped(live)
	for key, value := range live.Data {
		if _, replaced := c.object.Data[key]; replaced || slices.Contains(dropped, key) {
			continue
		}
		if applied || slices.Contains(ours, key) {
			kept[key] = value
		}
	}
	return kept
}

// notes are the annotations that say whose the keys are after c was applied with
// those that are carried.
func (c *ConfigMap) notes(live *Live, carried map[string]string) map[string]string {
	ours := slices.Collect(maps.Keys(c.object.Data))
	if c.partial {
		ours = append(ours, live.ours()...)
	}
	slices.Sort(ours)
	ours = slices.Compact(ours)
	kept := slices.DeleteFunc(slices.Sorted(maps.Keys(carried)), func(key string) bool { return slices.Contains(ours, key) })
	notes := map[string]string{keysAnnotation: strings.Join(ours, ",")}
	if len(kept) > 0 {
		notes[keptAnnotation] = strings.Join(kept, ",")
	}
	return notes
}
