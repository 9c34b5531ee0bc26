package containers

import (
	"context"
	"net/http"
)

// Paths of probes. Servers without the first take it for a call, or have no
// such page.
const (
	readyPath  = "/readyz"
	healthPath = "/healthz"
)

// A Probe asks a server whether its function is ready: at /readyz or, where
// there is none, at /healthz. It is for one goroutine.
type Probe struct {
	// Get sends a GET to a path of the server.
	Get func(ctx context.Context, path string) (status int, body string, err error)

	path string
}

// Path is the path that says whether the server is ready, empty until one
// answered.
func (p *Probe) Path() string { return p.path }

// Ask asks once. 200 is ready, and else the reason says why not; no answer at
// all is status 0. The only error is the end of ctx.
func (p *Probe) Ask(ctx context.Context) (status int, reason string, err error) {
	path := p.path
	if path == "" {
		path = readyPath
	}
	status, body, err := p.Get(ctx, path)
	if ctx.Err() != nil {
		return 0, "", ctx.Err()
	}
	if err != nil {
		return 0, "", nil
	}
	if p.path == "" {
		p.path = healthPath
		if status != http.StatusServiceUnavailable && (status != http.StatusOK || body != "OK\n") {
			return p.Ask(ctx)
		}
		p.path = readyPath
	}
	return status, body, nil
}
