package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// builtTarget is what became of a target, as build prints it.
type builtTarget struct {
	Name       string       `json:"name"`
	Status     build.Status `json:"status"`
	References []string     `json:"references"`
	Digest     string       `json:"digest,omitempty"`
	ImageID    string       `json:"imageID,omitempty"`
	Cached     bool         `json:"cached"`
	Seconds    float64      `json:"seconds"`
	Error      string       `json:"error,omitempty"`
}

func (a *app) buildCommand() *cobra.Command {
	var push bool
	cmd := &cobra.Command{
		Use:   "build [NAME...]",
		Short: "Build images, and with --push push them and print their digests",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			outcomes, err := s.build(cmd.Context(), args, push)
			if err != nil {
				return err
			}
			targets := a.describeOutcomes(outcomes)
			if err := a.print(targets, func(out io.Writer) error { return outcomeTable(out, targets) }); err != nil {
				return err
			}
			return a.failures(outcomes)
		},
	}
	cmd.Flags().BoolVar(&push, "push", false, "push the images")
	return cmd
}

// build runs the builds of the named targets.
func (s *session) build(ctx context.Context, names []string, push bool) (outcomes []build.Outcome, err error) {
	if err := s.project.Tree.Valid(); err != nil {
		return nil, err
	}
	plan, err := s.project.Plan(names)
	if err != nil {
		return nil, err
	}
	for _, u := range s.project.Discovery.Undecided {
		s.app.warnf("not built, undecided: %s", u)
	}
	if len(plan.Steps) == 0 {
		s.app.notef("nothing to build")
		return nil, nil
	}
	builder, err := s.openBuilder(ctx)
	if err != nil {
		return nil, err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, builder.Close())
		}
	}()
	run, err := s.run(ctx, builder, push)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	outcomes = run.Do(ctx, plan)
	// The progress display ends with the builder; results come after it.
	closed = true
	if err := builder.Close(); err != nil {
		return nil, fmt.Errorf("closing the build engine: %w", err)
	}
	s.app.notef("%s", totals(outcomes, push, time.Since(start)))
	return outcomes, nil
}

// totals is one line that sums a run up.
func totals(outcomes []build.Outcome, push bool, elapsed time.Duration) string {
	var built, cached, failed, skipped int
	for _, out := range outcomes {
		switch out.Status {
		case build.StatusBuilt:
			built++
			if out.Cached {
				cached++
			}
		case build.StatusFailed:
			failed++
		case build.StatusSkipped:
			skipped++
		}
	}
	verb := "built"
	if push {
		verb = "built and pushed"
	}
	return fmt.Sprintf("%d %s (%d from the engine's cache), %d failed, %d skipped, in %s", built, verb, cached, failed, skipped, elapsed.Round(100*time.Millisecond))
}

// failures prints what went wrong, each target with the end of its log, and
// is an error if anything did.
func (a *app) failures(outcomes []build.Outcome) error {
	failed := 0
	for _, out := range outcomes {
		if out.Status == build.StatusBuilt {
			continue
		}
		failed++
		fmt.Fprintf(a.streams.Err, "%s %s (%s): %s\n", out.Status, out.Target.Name, out.Target.Dockerfile, a.relative(out.Err.Error()))
		var step *build.StepError
		if errors.As(out.Err, &step) {
			for _, line := range step.Log {
				fmt.Fprintln(a.streams.Err, "    "+line)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets were not built", failed, len(outcomes))
	}
	return nil
}

func (a *app) describeOutcomes(outcomes []build.Outcome) []builtTarget {
	targets := []builtTarget{}
	for _, out := range outcomes {
		t := builtTarget{
			Name: out.Target.Name, Status: out.Status, References: notNil(out.References),
			Digest: out.Digest, ImageID: out.ImageID, Cached: out.Cached,
			Seconds: float64(out.Duration.Milliseconds()) / 1000,
		}
		if out.Err != nil {
			t.Error = a.relative(out.Err.Error())
		}
		targets = append(targets, t)
	}
	return targets
}

func outcomeTable(out io.Writer, targets []builtTarget) error {
	var rows [][]string
	for _, t := range targets {
		digest := t.Digest
		if digest == "" && t.ImageID != "" {
			digest = "image ID " + t.ImageID
		}
		rows = append(rows, []string{t.Name, string(t.Status), strings.Join(t.References, ","), digest})
	}
	return table(out, []string{"TARGET", "STATUS", "REFERENCE", "DIGEST"}, rows)
}
