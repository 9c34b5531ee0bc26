package function

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Labels of what a Local makes. They are all its state.
const (
	labelPrefix     = "dev.rtbuild."
	nameLabel       = labelPrefix + "function"
	namespaceLabel  = labelPrefix + "namespace"
	partLabel       = labelPrefix + "part"
	generationLabel = labelPrefix + "generation"
	recordLabel     = labelPrefix + "record"
)

// Parts of a function on a Host.
const (
	frontPart   = "front"   // the container and the volume at its address
	serverPart  = "server"  // the container and the volume of a generation
	sourcePart  = "source"  // the volume of what a generation was deployed from
	secretPart  = "secret"  // the volume of a secret of a generation
	networkPart = "network" // a namespace's
)

// A Record is what is known of a deployed function.
type Record struct {
	Runtime string     `json:"runtime"`
	Handler string     `json:"handler"`
	Timeout int        `json:"timeout"`
	Port    int        `json:"port"`
	Memory  string     `json:"memory,omitempty"`
	CPU     string     `json:"cpu,omitempty"`
	Env     []Variable `json:"env,omitempty"`
	Secrets []string   `json:"secrets,omitempty"`
	// Labels are the author's own.
	Labels map[string]string `json:"labels,omitempty"`
	// Source is where it came from, Digest its checksum.
	Source string `json:"source"`
	Digest string `json:"digest,omitempty"`
	Bundle bool   `json:"bundle,omitempty"`
	// Dependencies is whether a dependency file came beside the source.
	Dependencies bool `json:"dependencies,omitempty"`
	// Image is the one that holds the function, empty where that is in a volume.
	Image string `json:"image,omitempty"`
	// ReadyPath is where its server is asked whether it is ready, if that was said.
	ReadyPath string `json:"readyPath,omitempty"`
}

// RecordOf is what is kept of a function.
func RecordOf(f *Function) Record {
	r := Record{
		Runtime: f.Runtime.Name(), Handler: f.Handler, Timeout: f.Timeout, Port: f.Port, Memory: f.Memory, CPU: f.CPU,
		Env: f.Env, Labels: f.Labels, Source: f.Source.Origin, Digest: f.Source.Digest, Bundle: f.Source.Bundle, Dependencies: len(f.Dependencies) > 0,
		Image: f.Image, ReadyPath: f.ReadyPath,
	}
	for _, s := range f.Secrets {
		r.Secrets = append(r.Secrets, s.Name)
	}
	return r
}

// A Status is a function as it is on a target.
type Status struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Record
	// Status is "ready", or why it is not.
	Status string `json:"status"`
	// URL is where it is called.
	URL string `json:"url,omitempty"`
	// Deployed is when this generation was made, in UTC.
	Deployed time.Time `json:"deployed"`
}

// labels are those of a part of a function.
func (f *Function) labels(part, generation string) (map[string]string, error) {
	labels := maps.Clone(f.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[nameLabel], labels[namespaceLabel], labels[partLabel], labels[generationLabel] = f.Name, f.Namespace, part, generation
	if part != serverPart {
		return labels, nil
	}
	record, err := json.Marshal(RecordOf(f))
	if err != nil {
		return nil, fmt.Errorf("writing down the function: %w", err)
	}
	labels[recordLabel] = string(record)
	return labels, nil
}

// readRecord is what a container's labels say.
func readRecord(labels map[string]string) (Record, error) {
	var r Record
	if err := json.Unmarshal([]byte(labels[recordLabel]), &r); err != nil {
		return r, fmt.Errorf("reading the label %s of function %s: %w", recordLabel, labels[nameLabel], err)
	}
	return r, nil
}
