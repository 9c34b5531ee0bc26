package containers

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// Labels of what a Local makes. They are all its state.
const (
	nameLabel       = function.LabelPrefix + "function"
	namespaceLabel  = function.LabelPrefix + "namespace"
	partLabel       = function.LabelPrefix + "part"
	generationLabel = function.LabelPrefix + "generation"
	recordLabel     = function.LabelPrefix + "record"
)

// Parts of a function on a Host.
const (
	frontPart   = "front"   // the container and the volume at its address
	serverPart  = "server"  // the container and the volume of a generation
	sourcePart  = "source"  // the volume of what a generation was deployed from
	secretPart  = "secret"  // the volume of a secret of a generation
	networkPart = "network" // a namespace's
)

// labelsOf are those of a part of a function.
func labelsOf(f *function.Function, part, generation string) (map[string]string, error) {
	labels := maps.Clone(f.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[nameLabel], labels[namespaceLabel], labels[partLabel], labels[generationLabel] = f.Name, f.Namespace, part, generation
	if part != serverPart {
		return labels, nil
	}
	record, err := json.Marshal(function.RecordOf(f))
	if err != nil {
		return nil, fmt.Errorf("writing down the function: %w", err)
	}
	labels[recordLabel] = string(record)
	return labels, nil
}

// readRecord is what a container's labels say.
func readRecord(labels map[string]string) (function.Record, error) {
	var r function.Record
	if err := json.Unmarshal([]byte(labels[recordLabel]), &r); err != nil {
		return r, fmt.Errorf("reading the label %s of function %s: %w", recordLabel, labels[nameLabel], err)
	}
	return r, nil
}
