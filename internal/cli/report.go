package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// finish ends a run: one line of totals, a summary of what failed, and the
// reports. It is an error if a target failed.
func (s *session) finish(result *runResult, o runOptions) error {
	r := s.report(result, o)
	s.app.notef("%s", r.Totals)
	var errs []error
	for _, path := range o.reports {
		errs = append(errs, writeReport(path, r))
	}
	errs = append(errs, s.app.gitHub(r), s.app.failures(result.outcomes))
	return errors.Join(errs...)
}

// report describes a run for machines.
func (s *session) report(result *runResult, o runOptions) *report.Report {
	var targets []report.Target
	for i, out := range result.outcomes {
		described := s.app.describeOutcome(result, out)
		t := report.Target{
			Name: out.Target.Name, Dockerfile: out.Target.Dockerfile, Kind: string(out.Target.Kind),
			Status: report.Status(out.Status), Reason: out.Reason, Fingerprint: out.Fingerprint, Digest: out.Digest,
			References: described.References, Platforms: s.platforms, Seconds: described.Seconds, Error: described.Error,
			Pushed: o.push && out.Status == build.StatusBuilt,
		}
		for _, feed := range out.Target.Feeds {
			t.Feeds = append(t.Feeds, report.Feed{Runtime: feed.Runtime, Version: feed.Version, Phase: string(feed.Phase)})
		}
		if o.push && out.Status.Done() {
			for _, ref := range out.Target.References(result.place) {
				t.Tags = append(t.Tags, report.Tag{Reference: ref.String(), Before: result.prepared.Steps[i].Published[ref.String()]})
			}
		}
		var step *build.StepError
		if errors.As(out.Err, &step) {
			t.Log = step.Log
		}
		targets = append(targets, t)
	}
	r := report.New(result.started, time.Since(result.started), targets)
	r.Registry, r.Engine = result.place, result.engine
	return r
}

// checkReports refuses files whose form their names do not tell.
func checkReports(paths []string) error {
	for _, path := range paths {
		if ext := filepath.Ext(path); ext != ".json" && ext != ".xml" {
			return usagef("--report %s: the name ends in .json, or in .xml for JUnit", path)
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
	if actions, _ := a.lookupEnv("GITHUB_ACTIONS"); actions != "true" {
		return nil
	}
	err := r.GitHubAnnotations(a.streams.Err)
	path, ok := a.lookupEnv("GITHUB_STEP_SUMMARY")
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
	if actions, _ := a.lookupEnv("GITHUB_ACTIONS"); actions == "true" {
		return report.GitHubGroup(a.streams.Err, title, log)
	}
	for _, line := range log {
		if _, err := fmt.Fprintln(a.streams.Err, "    "+line); err != nil {
			return err
		}
	}
	return nil
}
