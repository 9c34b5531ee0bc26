package contract

import (
	"context"
	"errors"
	"testing"
)

// A check with bounds of time is run once more before it fails, and the result
// tells of both; other checks have one try.
func TestTimedChecksHaveASecondTry(t *testing.T) {
	for _, c := range []struct {
		name   string
		timed  bool
		errs   []error // of the tries, in order
		status Status
		detail string
		tries  int
	}{
		{"first try", true, []error{nil}, StatusPassed, "took 1 s", 0},
		{"second try", true, []error{errors.New("took 9 s"), nil}, StatusPassed, "took 1 s (second try; the first: took 9 s)", 2},
		{"never", true, []error{errors.New("took 9 s"), errors.New("took 8 s")}, StatusFailed, "took 8 s (second try; the first: took 9 s)", 2},
		{"without bounds", false, []error{errors.New("wrong")}, StatusFailed, "wrong", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tries := 0
			r := &runner{deployer: &deployer{}}
			got := r.try(t.Context(), check{name: "it", where: byItself, timed: c.timed, run: func(context.Context, *trial) (string, error) {
				err := c.errs[tries]
				tries++
				if err != nil {
					return "", err
				}
				return "took 1 s", nil
			}}, opened{})
			if tries != len(c.errs) || got.Status != c.status || got.Detail != c.detail || got.Tries != c.tries {
				t.Errorf("%d tries, got %s %q (%d), want %s %q (%d)", tries, got.Status, got.Detail, got.Tries, c.status, c.detail, c.tries)
			}
		})
	}
}
