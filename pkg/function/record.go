package function

import "time"

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

// StatusReady is the status of a function that answers.
const StatusReady = "ready"

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
