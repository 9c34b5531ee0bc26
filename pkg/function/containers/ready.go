package containers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// pollPause is between two looks at a server.
const pollPause = 50 * time.Millisecond

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollPause):
		return nil
	}
}

// probeOf asks a server of a host.
func probeOf(s Server) *Probe {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	return &Probe{Get: func(ctx context.Context, path string) (int, string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
		if err != nil {
			return 0, "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return response.StatusCode, string(body), err
	}}
}

// A loadError is a function that does not come to answer.
type loadError struct {
	Reason string
	// Output is what its container printed.
	Output Output
}

func (e *loadError) Error() string { return e.Reason }

// Log is the end of what the container printed, its stderr last.
func (e *loadError) Log(lines int) []string {
	return function.LastLines(strings.TrimRight(e.Output.Stdout, "\n")+"\n"+e.Output.Stderr, lines)
}

// notLoaded ends the container and adds what it printed: until it has ended, its
// last words may not have come to the engine.
func notLoaded(ctx context.Context, s Kept, reason string) error {
	if err := s.Stop(ctx, drain+time.Second); err != nil {
		return fmt.Errorf("%s; it could not be ended: %w", reason, err)
	}
	output, err := s.Logs(ctx)
	if err != nil {
		return fmt.Errorf("%s; its log could not be read: %w", reason, err)
	}
	return &loadError{Reason: reason, Output: output}
}

// awaitReady waits until a server has loaded its function. It does not wait for
// one that ended or that starts again and again.
func awaitReady(ctx context.Context, s Kept) error {
	deadline := time.Now().Add(loadLimit)
	probe := probeOf(s)
	for {
		status, reason, err := probe.Ask(ctx)
		if err != nil {
			return err
		}
		if status == http.StatusOK {
			return nil
		}
		state, err := s.State(ctx)
		if err != nil {
			return err
		}
		switch {
		case !state.Running || state.Restarts > 0:
			return notLoaded(ctx, s, fmt.Sprintf("the function's container ended with exit code %d", state.ExitCode))
		case strings.Contains(reason, "crash-looping"):
			return notLoaded(ctx, s, "the function cannot be loaded: "+strings.TrimSpace(reason))
		case time.Now().After(deadline):
			return notLoaded(ctx, s, fmt.Sprintf("the function is not loaded after %s: %s", loadLimit, strings.TrimSpace(reason)))
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
