package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/plural"
	"github.com/rtbuild/rtbuild/pkg/release"
	"github.com/rtbuild/rtbuild/pkg/report"
)

type pinOptions struct {
	check, diff, external bool
	reports, matrices     []string
}

// pinnedImage is a reference before and after, as pin prints it.
type pinnedImage struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Old     string `json:"old"`
	New     string `json:"new"`
	Changed bool   `json:"changed"`
}

func (a *app) pinCommand() *cobra.Command {
	var o pinOptions
	cmd := &cobra.Command{
		Use:   "pin [NAME...] | pin REF=sha256:DIGEST...",
		Short: "Write image digests into the manifests",
		Long: `Without REF=sha256:…, look up every image that this tree builds at the registry
and pin it; names select some of them. Images whose Dockerfile is gone stay as
they are pinned, and third-party images are looked up with --external only.

With REF=sha256:…, pin every image whose repository, or repository:tag, is REF.

With --report, release what the jobs of a matrix pushed with rtbuild build --push
--content-only: move the version tags of all images and pin them, together or
not at all. A tag that somebody else moved since the jobs began is an error, and
so is an image that is made of other inputs than this tree has. With --matrix,
an image of which no report is there is one as well.

Only the bytes of the digests change, in whatever file they are; either all
files are written or none. What cannot be pinned for certain is refused with a
reason.`,
		Example: `  rtbuild pin
  rtbuild pin kubeless/python:3.13=sha256:…
  rtbuild pin --check --diff
  rtbuild pin --report go.json --report python.json
  rtbuild pin --matrix "$MATRIX" --report reports`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				moves, changes, err := s.changes(ctx, args, o)
				if err != nil {
					return err
				}
				if !o.check {
					unlock, err := a.alone()
					if err != nil {
						return err
					}
					defer unlock()
				}
				return s.pin(ctx, moves, changes, o)
			})
		},
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "change nothing; exit 1 if something would change")
	cmd.Flags().BoolVar(&o.diff, "diff", false, "print a unified diff instead of the table")
	cmd.Flags().StringArrayVar(&o.reports, "report", nil, "release what the report `FILE` of a run says, or all of those (*.json) under a folder; may be repeated")
	cmd.Flags().StringArrayVar(&o.matrices, "matrix", nil, "with --report: the `JSON` of the matrix that the jobs were of; refuse if a job's report is missing; may be repeated, for stages")
	cmd.Flags().BoolVar(&o.external, "external", false, "also look up third-party images")
	return cmd
}

// changes are what the arguments ask for: version tags to move, of reports
// only, and digests to pin.
func (s *session) changes(ctx context.Context, args []string, o pinOptions) ([]release.Move, []pin.Change, error) {
	if err := s.project.Tree.Valid(); err != nil {
		return nil, nil, err
	}
	if len(o.reports) > 0 {
		return s.reported(ctx, append(o.reports, args...), o.matrices)
	}
	if len(o.matrices) > 0 {
		return nil, nil, invocation.Usagef("--matrix says which reports there are to be: add --report FOLDER")
	}
	changes, err := s.asked(ctx, args, o)
	return nil, changes, err
}

// asked are the changes that names or assignments ask for.
func (s *session) asked(ctx context.Context, args []string, o pinOptions) ([]pin.Change, error) {
	var assignments []release.Assignment
	for _, arg := range args {
		if !strings.Contains(arg, "=") {
			continue
		}
		assignment, err := release.ParseAssignment(arg)
		if err != nil {
			return nil, &invocation.UsageError{Err: err}
		}
		assignments = append(assignments, assignment)
	}
	if len(assignments) > 0 && len(assignments) < len(args) {
		return nil, invocation.Usagef("give names to look up, or REF=sha256:…, not both")
	}
	if len(assignments) > 0 {
		return s.project.PinAssigned(assignments)
	}
	destination, err := s.destination(ctx)
	if err != nil {
		return nil, err
	}
	return s.project.PinResolved(ctx, s.registryClient(), destination, args, o.external)
}

// reported is what the merged reports of matrix jobs ask for. A report of a run
// that failed in part is refused: half a release is none.
func (s *session) reported(ctx context.Context, paths, matrices []string) ([]release.Move, []pin.Change, error) {
	var jobs []release.Job
	for _, text := range matrices {
		more, err := readMatrix(text)
		if err != nil {
			return nil, nil, err
		}
		jobs = append(jobs, more...)
	}
	reports, err := readReports(paths)
	if err != nil {
		return nil, nil, err
	}
	images := map[string]release.Pushed{}
	merged := &report.Report{}
	switch {
	case len(reports) > 0:
		if merged, images, err = s.merge(ctx, reports); err != nil {
			return nil, nil, err
		}
	case len(matrices) == 0:
		return nil, nil, fmt.Errorf("no report (*.json) is there: %s", strings.Join(paths, ", "))
	}
	if err := release.Unreported(jobs, images); err != nil {
		return nil, nil, err
	}
	if err := s.ofThisTree(ctx, merged, images); err != nil {
		return nil, nil, err
	}
	return s.project.Collect(merged.Registry, images)
}

// merge makes one report of several, and lists the images that it has.
func (s *session) merge(ctx context.Context, reports []*report.Report) (*report.Report, map[string]release.Pushed, error) {
	merged, err := report.Merge(reports...)
	if err != nil {
		return nil, nil, err
	}
	if s.Registry != "" {
		destination, err := s.destination(ctx)
		if err != nil {
			return nil, nil, err
		}
		if destination != merged.Registry {
			return nil, nil, fmt.Errorf("the reports are of images at %q, and the registry is %q: name the one that the jobs pushed to", merged.Registry, destination)
		}
	}
	images := map[string]release.Pushed{}
	for _, t := range merged.Targets {
		if pushed := t.Status == build.StatusBuilt && t.Pushed; !pushed && t.Status != build.StatusFresh {
			return nil, nil, fmt.Errorf("the reports say of %s: %s; nothing is pinned until all images are pushed", t.Name, t.Status)
		}
		image := release.Pushed{Digest: t.Digest, Fingerprint: t.Fingerprint, Before: map[string]string{}}
		for _, tag := range t.Tags {
			image.Before[tag.Reference] = tag.Before
		}
		images[t.Name] = image
	}
	return merged, images, nil
}

// ofThisTree wants images to be made of what is in this tree. The engine that
// they were built for need not be here.
func (s *session) ofThisTree(ctx context.Context, merged *report.Report, images map[string]release.Pushed) error {
	known := false
	for _, t := range merged.Targets {
		if images[t.Name].Fingerprint == "" {
			continue
		}
		if known = true; len(s.Platforms) == 0 {
			s.Platforms = t.Platforms
		}
	}
	if !known {
		return nil
	}
	edges, options, err := s.wire(ctx, nil, runOptions{})
	if err != nil {
		return err
	}
	return s.project.OfThisTree(ctx, edges, options, images)
}

// pin moves the version tags and writes the digests, or says what it would do.
func (s *session) pin(ctx context.Context, moves []release.Move, changes []pin.Change, o pinOptions) error {
	plan, err := s.project.Pin(ctx, changes)
	if err != nil {
		return err
	}
	publication := release.NewPublication(s.registryClient(), s.registryClient(), moves, plan)
	publish := publication.Publish
	if o.check {
		publish = publication.Pending
	}
	moved, err := publish(ctx)
	if err != nil {
		return err
	}
	pins := s.app.describePins(plan)
	text := func(out io.Writer) error { return pinTable(out, pins) }
	if o.diff {
		text = func(out io.Writer) error {
			_, err := out.Write(plan.Diff(s.app.Root))
			return err
		}
	}
	if err := s.app.print(pins, text); err != nil {
		return err
	}
	if o.check && len(plan.Files) > 0 {
		return errors.New("the manifests are not pinned to what they should be; run rtbuild pin without --check")
	}
	if o.check && len(moved) > 0 {
		return fmt.Errorf("%s to be moved to the images of the reports; run rtbuild pin without --check", plural.Of(len(moved), len(moves), "version tag"))
	}
	if len(moves) > 0 {
		s.app.Notef("moved %s", plural.Of(len(moved), len(moves), "version tag"))
	}
	s.app.Notef("%s", pinTotals(plan, o.check))
	return nil
}

func pinTotals(plan *pin.Patch, check bool) string {
	changed := 0
	for _, p := range plan.Pins {
		if p.Old != p.New {
			changed++
		}
	}
	switch {
	case changed == 0 && len(plan.Pins) == 1:
		return "the image was pinned already"
	case changed == 0:
		return fmt.Sprintf("all %d images were pinned already", len(plan.Pins))
	}
	verb := "pinned"
	if check {
		verb = "would pin"
	}
	return fmt.Sprintf("%s %s in %s", verb, plural.Of(changed, len(plan.Pins), "image"), plural.Count(len(plan.Files), "file"))
}

func (a *app) describePins(plan *pin.Patch) []pinnedImage {
	pins := []pinnedImage{}
	for _, p := range plan.Pins {
		pins = append(pins, pinnedImage{File: a.Relative(p.Position.File), Line: p.Position.Line, Old: p.Old, New: p.New, Changed: p.Old != p.New})
	}
	return pins
}

// pinTable prints the images that change: where, which, old → new.
func pinTable(out io.Writer, pins []pinnedImage) error {
	var rows [][]string
	for _, p := range pins {
		if !p.Changed {
			continue
		}
		name, old, found := strings.Cut(p.Old, "@")
		if !found {
			old = "-"
		}
		_, digest, _ := strings.Cut(p.New, "@")
		rows = append(rows, []string{fmt.Sprintf("%s:%d", p.File, p.Line), name, shortDigest(old), "→", shortDigest(digest)})
	}
	if len(rows) == 0 {
		return nil
	}
	return table(out, []string{"PLACE", "IMAGE", "OLD", "", "NEW"}, rows)
}
