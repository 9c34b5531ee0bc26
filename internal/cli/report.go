package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/internal/version"
	"github.com/rtbuild/rtbuild/pkg/plural"
	"github.com/rtbuild/rtbuild/pkg/release"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// finish ends a release: one line of totals, a summary of what failed, and the
// reports. It is an error if a target failed. Logs that progress has shown are not
// in the summary again.
func (s *session) finish(ctx context.Context, result *release.Result, o runOptions, shown bool) error {
	r := s.report(result)
	if len(o.reports) > 0 {
		s.sign(context.WithoutCancel(ctx), &r.Head)
	}
	s.app.Notef("%s", r.Totals)
	var errs []error
	for _, path := range o.reports {
		errs = append(errs, writeReport(path, r))
	}
	errs = append(errs, s.app.gitHub(r), s.app.failures(r.Targets, shown))
	if failed := result.Failed(); failed > 0 {
		errs = append(errs, fmt.Errorf("%s failed or were not tried", plural.Of(failed, len(result.Targets), "target")))
	}
	return errors.Join(errs...)
}

// sign says in a document which rtbuild wrote it and, if it is of a tree, of which
// commit.
func (s *session) sign(ctx context.Context, head *report.Head) {
	head.Tool = "rtbuild " + version.This().Version
	if s.project == nil {
		return
	}
	repository, err := git.Open(ctx, s.Root)
	if err == nil {
		head.Revision, err = repository.Head(ctx)
	}
	if err != nil && !errors.Is(err, git.ErrNoRepository) && !errors.Is(err, git.ErrUnknownRevision) {
		s.app.Warnf("the report does not say which commit it is of: %v", err)
	}
}

func (s *session) report(result *release.Result) *report.Report {
	return result.Report(func(err error) string { return s.app.Relative(err.Error()) })
}

// failures prints what went wrong, each target with the end of its log, unless that
// was shown.
func (a *app) failures(targets []report.Target, shown bool) error {
	for _, t := range targets {
		if t.Error == "" {
			continue
		}
		fmt.Fprintf(a.Streams.Err, "%s %s (%s): %s\n", t.Status, t.Name, t.Dockerfile, t.Error)
		if len(t.Log) == 0 {
			continue
		}
		if shown {
			fmt.Fprintln(a.Streams.Err, "    what it printed is above, at this step")
			continue
		}
		if err := a.printLog(t.Name+": the end of its log", t.Log); err != nil {
			return err
		}
	}
	return nil
}

// checkReports refuses files whose form their names do not tell.
func checkReports(paths []string) error {
	for _, path := range paths {
		if ext := filepath.Ext(path); ext != ".json" && ext != ".xml" {
			return invocation.Usagef("--report %s: the name ends in .json, or in .xml for JUnit", path)
		}
	}
	return nil
}

func writeReport(path string, r reportForms) error {
	form := r.JSON
	if filepath.Ext(path) == ".xml" {
		form = r.JUnit
	}
	var content strings.Builder
	if err := form(&content); err != nil {
		return fmt.Errorf("writing the report %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(content.String()), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// readReports reads reports: files, and all that lie under folders. A folder that
// is missing has none: where no job ran, none made it.
func readReports(paths []string) ([]*report.Report, error) {
	var files []string
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && !info.IsDir() || filepath.Ext(path) == ".json" {
			files = append(files, path)
			continue
		}
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && filepath.Ext(name) == ".json" {
				files = append(files, name)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking for reports: %w", err)
		}
	}
	var reports []*report.Report
	for _, file := range files {
		r, err := readReport(file)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	defer f.Close()
	r, err := report.ReadJSON(f)
	if err != nil {
		return nil, fmt.Errorf("reading the report %s: %w", path, err)
	}
	r.Source = path
	return r, nil
}

// gitHub writes annotations and the step's summary where GitHub Actions runs
// the command.
func (a *app) gitHub(r *report.Report) error {
	if actions, _ := a.LookupEnv("GITHUB_ACTIONS"); actions != "true" {
		return nil
	}
	err := r.GitHubAnnotations(a.Streams.Err)
	path, ok := a.LookupEnv("GITHUB_STEP_SUMMARY")
	if !ok || path == "" {
		return err
	}
	f, openErr := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if openErr != nil {
		return errors.Join(err, fmt.Errorf("writing the step's summary: %w", openErr))
	}
	return errors.Join(err, r.Summary(f), f.Close())
}

// printLog prints the end of a failed step's log, folded where GitHub Actions
// shows it.
func (a *app) printLog(title string, log []string) error {
	if actions, _ := a.LookupEnv("GITHUB_ACTIONS"); actions == "true" {
		return report.GitHubGroup(a.Streams.Err, title, log)
	}
	for _, line := range log {
		if _, err := fmt.Fprintln(a.Streams.Err, "    "+line); err != nil {
			return err
		}
	}
	return nil
}
