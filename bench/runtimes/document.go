package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A document is what a run came to.
type document struct {
	Schema  string `json:"schema"`
	Version int    `json:"version"`
	// Started is in UTC.
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Engine  string    `json:"engine"`
	CPUs    int       `json:"cpus"`
	// WarmUpSeconds and MeasureSeconds are those of each measurement.
	WarmUpSeconds  float64   `json:"warmUpSeconds"`
	MeasureSeconds float64   `json:"measureSeconds"`
	Servers        []*server `json:"servers"`
}

// A server is what was measured of one server of a runtime.
type server struct {
	Runtime string `json:"runtime"`
	Version string `json:"version"`
	// Server is one of serverNames.
	Server string `json:"server"`
	// ImageBytes is the image's size on disk, told for the image as it is.
	ImageBytes   int64         `json:"imageBytes,omitempty"`
	ColdStarts   []coldStart   `json:"coldStarts"`
	Measurements []measurement `json:"measurements"`
	// Note is what was not measured, and why.
	Note string `json:"note,omitempty"`
	// Error is what kept the rest from being measured.
	Error string `json:"error,omitempty"`
}

// A coldStart is the time until the first call was answered with 200.
type coldStart struct {
	// Seconds is from the order to create the container.
	Seconds float64 `json:"seconds"`
	// RunningSeconds is from when the engine had it running.
	RunningSeconds float64 `json:"runningSeconds"`
}

// A measurement is one load by so many clients.
type measurement struct {
	Load    string `json:"load"`
	Clients int    `json:"clients"`
	// LoadAverage is the machine's of the minute before.
	LoadAverage       float64 `json:"loadAverage"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	// P50Seconds and P99Seconds are of the calls that succeeded.
	P50Seconds float64 `json:"p50Seconds"`
	P99Seconds float64 `json:"p99Seconds"`
	Calls      int     `json:"calls"`
	Failures   int     `json:"failures"`
	// Failure is one of them.
	Failure string `json:"failure,omitempty"`
	// MemoryBytes is the container's after the calls.
	MemoryBytes int64 `json:"memoryBytes"`
	// Error is why there are no figures.
	Error string `json:"error,omitempty"`
}

func (s *server) name() string { return s.Runtime + " " + s.Version }

// fail keeps an error, beside one that is there already; nil is none.
func (s *server) fail(err error) { s.Error = joined(s.Error, err) }

func (m *measurement) fail(err error) { m.Error = joined(m.Error, err) }

func joined(text string, err error) string {
	switch {
	case err == nil:
		return text
	case text == "":
		return err.Error()
	}
	return text + "\n" + err.Error()
}

func (m *measurement) set(r result) {
	m.RequestsPerSecond, m.P50Seconds, m.P99Seconds = r.perSecond, seconds(r.p50), seconds(r.p99)
	m.Calls, m.Failures = r.calls, r.failures
	if r.failure != nil {
		m.Failure = r.failure.Error()
	}
}

// String is the measurement for people who wait.
func (m measurement) String() string {
	if m.Error != "" {
		return fmt.Sprintf("%s, %d clients: %s", m.Load, m.Clients, m.Error)
	}
	text := fmt.Sprintf("%s, %d clients: %.0f/s, p50 %.2f ms, p99 %.2f ms, %.1f MiB, load average %.1f",
		m.Load, m.Clients, m.RequestsPerSecond, 1000*m.P50Seconds, 1000*m.P99Seconds, mebibytes(m.MemoryBytes), m.LoadAverage)
	if m.Failures > 0 {
		text += fmt.Sprintf(", %d FAILED: %s", m.Failures, m.Failure)
	}
	return text
}

// err is nil if everything was measured.
func (d *document) err() error {
	var errs []error
	for _, s := range d.Servers {
		if s.Error != "" {
			errs = append(errs, fmt.Errorf("%s %s: %s", s.name(), s.Server, s.Error))
		}
		for _, m := range s.Measurements {
			if m.Error != "" {
				errs = append(errs, fmt.Errorf("%s %s: %s, %d clients: %s", s.name(), s.Server, m.Load, m.Clients, m.Error))
			}
		}
	}
	return errors.Join(errs...)
}

func (d *document) json(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

// seconds keeps microseconds.
func seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
