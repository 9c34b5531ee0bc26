package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// matrixLimit is how many jobs GitHub Actions takes in one matrix.
const matrixLimit = 256

// A matrix is what GitHub Actions takes as strategy.matrix.
type matrix struct {
	Include []matrixEntry `json:"include"`
}

// matrixEntry is one job.
type matrixEntry struct {
	// Target is the job's name: what its commands take as an argument.
	Target  string        `json:"target"`
	Stage   release.Stage `json:"stage"`
	Targets []string      `json:"targets"`
	// Runtimes are the versions that the images are for, "go 1.24, go 1.26".
	Runtimes string `json:"runtimes"`
}

type matrixOptions struct {
	since, stage string
	locked       bool
}

func (o *matrixOptions) check() error {
	if !slices.Contains([]string{"", string(release.StageParents), string(release.StageImages)}, o.stage) {
		return invocation.Usagef("--stage %s: want %s or %s", o.stage, release.StageParents, release.StageImages)
	}
	return nil
}

func (a *app) matrixCommand() *cobra.Command {
	var o matrixOptions
	cmd := &cobra.Command{
		Use:   "matrix [NAME...]",
		Short: "Print a GitHub Actions matrix of the jobs that a release takes",
		Long: `Print {"include": […]}, on one line, with an entry for each job that has
something to do: the registry lacks one of its images, or a version tag that
points to one. With --since, an entry for each job with an image that changed
since a git revision, which asks no registry.

A job is a group of images that are for one version or are built from each other.
Its target is the argument for the job's commands, and selects nothing else. What
several jobs are built from is a job of the stage "parents", which comes before
the stage "images"; --stage prints one of them. No two jobs of a stage build the
same image.

Each job runs rtbuild build --push --content-only --report FILE TARGET, which
leaves the version tags alone; a last one releases what all of them pushed, if
none failed: rtbuild pin --report FOLDER. docs/REPORTS.md has all of it.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := o.check(); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, s *session) error {
				jobs, err := s.jobsOf(ctx, args, o)
				if err != nil {
					return err
				}
				if len(jobs) > matrixLimit {
					a.Warnf("the matrix has %d jobs, and GitHub Actions takes %d: name a part of the runtimes", len(jobs), matrixLimit)
				}
				return json.NewEncoder(a.Streams.Out).Encode(newMatrix(jobs))
			})
		},
	}
	cmd.Flags().StringVar(&o.since, "since", "", "only jobs with images that changed since the git revision `REV`, whatever the registry has")
	cmd.Flags().StringVar(&o.stage, "stage", "", "only jobs of this `STAGE`: parents or images")
	cmd.Flags().BoolVar(&o.locked, "locked", false, "refuse a base image that the lock file does not have")
	return cmd
}

// jobsOf are the jobs of what the names select that have something to do.
func (s *session) jobsOf(ctx context.Context, names []string, o matrixOptions) ([]release.Job, error) {
	edges, options, err := s.wire(ctx, names, runOptions{push: o.since == "", locked: o.locked, since: o.since})
	if err != nil {
		return nil, err
	}
	jobs, err := s.project.DueJobs(ctx, edges, options)
	if err != nil {
		return nil, err
	}
	if added := edges.Bases.Added(); len(added) > 0 && o.since == "" {
		s.app.Warnf("%s lacks %s, and jobs may not find the same: run rtbuild lock and commit the file", s.LockFile, strings.Join(added, ", "))
	}
	return slices.DeleteFunc(jobs, func(job release.Job) bool { return o.stage != "" && string(job.Stage) != o.stage }), nil
}

func newMatrix(jobs []release.Job) matrix {
	m := matrix{Include: []matrixEntry{}}
	for _, job := range jobs {
		var versions []string
		for _, field := range job.UsedBy {
			versions = append(versions, field.Runtime+" "+field.Version)
		}
		m.Include = append(m.Include, matrixEntry{Target: job.Name, Stage: job.Stage, Targets: job.Targets, Runtimes: strings.Join(versions, ", ")})
	}
	return m
}

// readMatrix reads a matrix that was printed.
func readMatrix(text string) ([]release.Job, error) {
	var m matrix
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := decoder.Decode(&m); err != nil || m.Include == nil {
		return nil, invocation.Usagef("--matrix takes what rtbuild matrix printed, {\"include\": […]}, not %q", text)
	}
	var jobs []release.Job
	for i, entry := range m.Include {
		if entry.Target == "" || len(entry.Targets) == 0 {
			return nil, invocation.Usagef("--matrix: entry %d has no target or no targets: take what rtbuild matrix printed", i+1)
		}
		jobs = append(jobs, release.Job{Name: entry.Target, Stage: entry.Stage, Targets: entry.Targets})
	}
	return jobs, nil
}
