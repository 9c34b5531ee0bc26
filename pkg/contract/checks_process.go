package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

func checkUser(ctx context.Context, t *trial) (string, error) {
	user, _, _ := strings.Cut(t.images[manifest.RuntimePhase].User, ":")
	if user == "" || user == "0" || user == "root" {
		return "", fmt.Errorf("the image's user is root (USER %q): want another one", user)
	}
	processes, err := t.server.Processes(ctx)
	if err != nil {
		return "", err
	}
	if len(processes) == 0 {
		return "", errors.New("the engine shows no process of the container")
	}
	for _, p := range processes {
		if p.UID == 0 {
			return "", fmt.Errorf("a process runs as root: %s", p.Command)
		}
	}
	return "", nil
}

func checkReadOnly(ctx context.Context, t *trial) (string, error) {
	for _, c := range []struct{ folder, want string }{{"", "refused"}, {"/usr", "refused"}, {"/tmp", "written"}, {function.VolumePath, "written"}} {
		if _, err := t.server.expect(ctx, do("write", map[string]any{"path": c.folder + "/contract-check"}), http.StatusOK, c.want); err != nil {
			return "", err
		}
	}
	return "", nil
}

// checkShutdown ends the container during a call. The pauses leave time for
// the call to be there before the signal and for the signal to be heard before
// the next call.
func checkShutdown(ctx context.Context, t *trial) (string, error) {
	s, err := t.startContract(ctx)
	if err != nil {
		return "", err
	}
	running := make(chan error, 1)
	go func() {
		_, err := s.expect(ctx, do("sleep", map[string]any{"seconds": 4}), http.StatusOK, "slept")
		running <- err
	}()
	if err := errors.Join(pause(ctx, time.Second), s.Signal(ctx, "TERM")); err != nil {
		return "", err
	}
	signalled := time.Now()
	if err := pause(ctx, time.Second); err != nil {
		return "", err
	}
	late, lateErr := s.call(ctx, request{})
	if err := <-running; err != nil {
		return "", fmt.Errorf("the call that ran when SIGTERM came: %w", err)
	}
	if lateErr == nil && late.status != http.StatusServiceUnavailable {
		return "", fmt.Errorf("after SIGTERM: %w", late.unlike("no connection, or 503"))
	}
	code, err := s.end(ctx, 30*time.Second)
	if err != nil {
		return "", err
	}
	if code != 0 {
		return "", fmt.Errorf("want exit code 0 after SIGTERM, got %d", code)
	}
	return fmt.Sprintf("ended %.1f s after SIGTERM", time.Since(signalled).Seconds()), nil
}

// end waits until the container has ended, and returns its exit code.
func (s *server) end(ctx context.Context, limit time.Duration) (int, error) {
	for deadline := time.Now().Add(limit); ; {
		state, err := s.State(ctx)
		if err != nil || !state.Running {
			return state.ExitCode, err
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("the container still runs %s after its last call", limit)
		}
		if err := pause(ctx, pollPause); err != nil {
			return 0, err
		}
	}
}
