package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// builtTarget is what became of a target, as build prints it.
type builtTarget struct {
	Name        string       `json:"name"`
	Status      build.Status `json:"status"`
	Reason      string       `json:"reason,omitempty"`
	Fingerprint string       `json:"fingerprint,omitempty"`
	References  []string     `json:"references"`
	Digest      string       `json:"digest,omitempty"`
	ImageID     string       `json:"imageID,omitempty"`
	Cached      bool         `json:"cached"`
	Seconds     float64      `json:"seconds"`
	Error       string       `json:"error,omitempty"`
}

func (a *app) buildCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "build [NAME...]",
		Short: "Build images, and with --push push them and print their digests",
		Long: `Build images. With --push, images that the registry has already are not built
again, the others are pushed under a tag of their content, and when all are
there the version tags move to them.

With --content-only the version tags stay where they are: rtbuild pin --report
moves those of several such runs, the jobs of a matrix, together.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				result, done, err := s.execute(ctx, args, o)
				if err != nil {
					return err
				}
				defer done()
				if o.push && !o.contentOnly && !result.failed() {
					err = s.publish(ctx, result, nil)
				}
				return errors.Join(err, s.finish(result, o), a.printOutcomes(result))
			})
		},
	}
	o.flags(cmd.Flags(), "push the images")
	cmd.Flags().BoolVar(&o.contentOnly, "content-only", false, "push, and leave the version tags to rtbuild pin --report")
	return cmd
}

// printOutcomes prints what became of the targets.
func (a *app) printOutcomes(result *runResult) error {
	targets := []builtTarget{}
	for _, out := range result.outcomes {
		targets = append(targets, a.describeOutcome(result, out))
	}
	return a.print(targets, func(out io.Writer) error { return outcomeTable(out, targets) })
}

// failures prints what went wrong, each target with the end of its log, and
// is an error if anything did.
func (a *app) failures(outcomes []build.Outcome) error {
	failed := 0
	for _, out := range outcomes {
		if out.Status.Done() {
			continue
		}
		failed++
		fmt.Fprintf(a.streams.Err, "%s %s (%s): %s\n", out.Status, out.Target.Name, out.Target.Dockerfile, a.relative(out.Err.Error()))
		var step *build.StepError
		if errors.As(out.Err, &step) {
			if err := a.printLog(out.Target.Name+": the end of its log", step.Log); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets failed or were not tried", failed, len(outcomes))
	}
	return nil
}

func (a *app) describeOutcome(result *runResult, out build.Outcome) builtTarget {
	t := builtTarget{
		Name: out.Target.Name, Status: out.Status, Reason: out.Reason, Fingerprint: out.Fingerprint,
		References: notNil(result.references(out)), Digest: out.Digest, ImageID: out.ImageID, Cached: out.Cached,
		Seconds: float64(out.Duration.Milliseconds()) / 1000,
	}
	if out.Err != nil {
		t.Error = a.relative(out.Err.Error())
	}
	return t
}

// references are those that stand for an image: once it is published, its
// version tags.
func (r *runResult) references(out build.Outcome) []string {
	if !r.published {
		return out.References
	}
	var refs []string
	for _, ref := range out.Target.References(r.place) {
		refs = append(refs, ref.String())
	}
	return refs
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
