package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/internal/edge/engine"
	"github.com/rtbuild/rtbuild/internal/edge/logins"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// verifyJobs is how many versions are verified at once by default: each runs
// several containers, and a machine without time left fails timed checks.
const verifyJobs = 2

// verifyOptions are the flags of verify.
type verifyOptions struct {
	checks, reports, env []string
	pinned               bool
	since                string
	// For an image that is in no tree.
	image, functions, examples, suffix string
}

func (o *verifyOptions) flags(set *pflag.FlagSet) {
	set.StringSliceVar(&o.checks, "check", nil, "run only the checks `NAME,...`; docs/CONTRACT.md lists them")
	set.StringArrayVar(&o.reports, "report", nil, "write a report to `FILE`: .json, or .xml for JUnit; may be repeated")
	set.StringArrayVar(&o.env, "env", nil, "the functions' own environment, `NAME=VALUE`, as for package indexes and proxies; may be repeated")
	set.BoolVar(&o.pinned, "pinned", false, "verify the digests in the manifests, not what the engine has under the tags")
	set.StringVar(&o.since, "since", "", "only versions that changed since the git revision `REV`: what their images are made of, the manifest, contract functions or examples")
	set.StringVar(&o.image, "image", "", "verify the image `REF`, which is in no tree")
	set.StringVar(&o.functions, "contract", "", "with --image: the `FOLDER` of its contract functions")
	set.StringVar(&o.examples, "examples", "", "with --image: the `FOLDER` of its examples (default: none)")
	set.StringVar(&o.suffix, "suffix", "", "with --image: the `EXTENSION` of its source files (default: that of contract.<ext>)")
}

// check refuses flags and arguments that do not go together.
func (o *verifyOptions) check(names []string) error {
	switch {
	case o.image == "" && (o.functions != "" || o.examples != "" || o.suffix != ""):
		return invocation.Usagef("--contract, --examples and --suffix describe an image of no tree: add --image REF")
	case o.image != "" && len(names) > 0:
		return invocation.Usagef("either --image, or names of runtimes, not both")
	case o.image != "" && o.functions == "":
		return invocation.Usagef("--image %s: say where its contract functions are, with --contract FOLDER", o.image)
	case o.image != "" && o.since != "":
		return invocation.Usagef("--since is for images of a tree, not for --image")
	case o.image != "" && o.pinned:
		return invocation.Usagef("--pinned is for images of manifests, not for --image")
	}
	if err := contract.CheckNames(o.checks); err != nil {
		return &invocation.UsageError{Err: fmt.Errorf("--check: %w", err)}
	}
	if _, err := o.variables(); err != nil {
		return err
	}
	return checkReports(o.reports)
}

func (o *verifyOptions) variables() ([]function.Variable, error) {
	var variables []function.Variable
	for _, text := range o.env {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, invocation.Usagef("--env %q: write NAME=VALUE", text)
		}
		variables = append(variables, function.Variable{Name: name, Value: value})
	}
	return variables, nil
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [NAME...]",
		Short: "Check that runtime images keep the contract",
		Long: `Run the contract functions of runtimes in their images, through all phases as in
a cluster, and check each row of the contract by name. What the rows demand, and
how a runtime gets its functions, is in docs/CONTRACT.md.

The images are those that the Docker engine has under the tags of the manifests,
where rtbuild build leaves them. What it does not have is pulled: by digest where
the manifest pins one, from --registry or from where the manifests say. One that
is not made of today's sources is verified with a warning.

Printed are the checks that failed and totals for each version; with --verbose
all checks. --jobs says how many versions are verified at once (default 2).

--image verifies an image that is in no tree, with the functions in --contract.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			if o.image != "" {
				return a.verifyImage(cmd, o)
			}
			return a.with(cmd, func(ctx context.Context, s *session) error {
				return s.verifyTree(ctx, args, o)
			})
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

// verifyImage verifies an image without a tree.
func (a *app) verifyImage(cmd *cobra.Command, o verifyOptions) error {
	ref, err := reference.Parse(o.image)
	if err != nil {
		return &invocation.UsageError{Err: err}
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	if o.suffix == "" {
		if o.suffix, err = contract.Suffix(o.functions); err != nil {
			return fmt.Errorf("%w; --suffix says it", err)
		}
	}
	env, err := o.variables()
	if err != nil {
		return err
	}
	subject := contract.Subject{
		Runtime: path.Base(ref.Name), Version: ref.Tag, FileNameSuffix: o.suffix, Functions: o.functions, Examples: o.examples, Env: env,
		Phases: []function.Phase{{Phase: manifest.RuntimePhase, References: []string{o.image}}},
	}
	document, err := s.runVerify(cmd.Context(), []contract.Subject{subject}, o)
	if err != nil {
		return err
	}
	s.sign(cmd.Context(), &document.Head)
	return s.showVerified(document, o)
}

// verifyTree verifies versions of the tree.
func (s *session) verifyTree(ctx context.Context, names []string, o verifyOptions) error {
	subjects, err := s.subjects(ctx, names, o)
	if err != nil {
		return err
	}
	// What the sources are is looked at first: it takes minutes to verify.
	today := s.sourcesOf(ctx, subjects)
	document, err := s.runVerify(ctx, subjects, o)
	if err != nil {
		return err
	}
	s.warnOlder(today, document)
	s.sign(ctx, &document.Head)
	return s.showVerified(document, o)
}

// runVerify verifies the subjects. Without any it needs no engine.
func (s *session) runVerify(ctx context.Context, subjects []contract.Subject, o verifyOptions) (*contract.Document, error) {
	if len(subjects) == 0 {
		return contract.NewDocument("", time.Now(), 0, nil), nil
	}
	containers, err := s.openContainers(ctx, s.Builder)
	if err != nil {
		return nil, err
	}
	return s.runSuite(ctx, containers, subjects, o.checks)
}

// showVerified prints and writes what came of a verification. It is an error if
// a check failed.
func (s *session) showVerified(document *contract.Document, o verifyOptions) error {
	printed := s.app.print(document, func(out io.Writer) error { return verifyTables(out, document, s.app.Flags.Verbose) })
	errs := []error{printed}
	for _, path := range o.reports {
		errs = append(errs, writeReport(path, document))
	}
	errs = append(errs, s.app.printVerifyLogs(document.Subjects))
	for _, r := range document.Subjects {
		errs = append(errs, r.Err())
	}
	return errors.Join(errs...)
}

// openContainers connects to an engine that runs containers, which the caller
// closes.
func (s *session) openContainers(ctx context.Context, builder string) (*docker.Engine, error) {
	name, err := engine.DockerContext(builder)
	if err != nil {
		return nil, err
	}
	return docker.Open(ctx, docker.Config{Context: name, Logins: logins.Find})
}

// runSuite verifies the subjects, some at once, with the checks of these names
// or all, and closes the engine. The reports are in the subjects' order; an
// error is what kept the suite from running at all.
func (s *session) runSuite(ctx context.Context, containers *docker.Engine, subjects []contract.Subject, checks []string) (_ *contract.Document, err error) {
	defer func() { err = errors.Join(err, containers.Close()) }()
	jobs := s.app.Flags.Jobs
	if jobs == 0 {
		jobs = verifyJobs
	}
	suite := &contract.Suite{Engine: containers, Checks: checks}
	reports := make([]*contract.SubjectReport, len(subjects))
	started := time.Now()
	parallel.Each(len(subjects), jobs, func(i int) { reports[i] = s.verifyOne(ctx, suite, subjects[i]) })
	if ctx.Err() != nil {
		return nil, fmt.Errorf("verifying: %w", context.Cause(ctx))
	}
	return contract.NewDocument(containers.Name(), started, time.Since(started), reports), nil
}

func (s *session) verifyOne(ctx context.Context, suite *contract.Suite, subject contract.Subject) *contract.SubjectReport {
	s.app.Notef("verifying %s with %s", subject, suite.Engine.Name())
	began := time.Now()
	r, err := suite.Verify(ctx, subject)
	if err != nil {
		return contract.Unverified(subject, began, errors.New(s.app.Relative(err.Error())))
	}
	return r
}

// printVerifyLogs prints the logs of checks that failed.
func (a *app) printVerifyLogs(reports []*contract.SubjectReport) error {
	for _, r := range reports {
		for _, result := range r.Failed() {
			if len(result.Log) == 0 {
				continue
			}
			title := fmt.Sprintf("%s: %s: the end of the log", r.Name(), result.Check)
			fmt.Fprintln(a.Streams.Err, title)
			if err := a.printLog(title, result.Log); err != nil {
				return err
			}
		}
	}
	return nil
}

// reportForms are the forms of a report.
type reportForms interface {
	JSON(io.Writer) error
	JUnit(io.Writer) error
}

// verifyTables prints the checks that failed, or all, and then totals.
func verifyTables(out io.Writer, document *contract.Document, all bool) error {
	var rows, totals [][]string
	for _, r := range document.Subjects {
		for _, result := range r.Results {
			if all || result.Status == contract.StatusFailed {
				detail := strings.Join(strings.Fields(result.Detail), " ")
				rows = append(rows, []string{r.Runtime, r.Version, result.Check, string(result.Status), fmt.Sprintf("%.1fs", result.Seconds), detail})
			}
		}
		image := "-"
		for _, verified := range r.Images {
			if verified.Phase == manifest.RuntimePhase {
				image = verified.Reference
			}
		}
		status := "keeps the contract"
		switch {
		case r.Error != "":
			status = "not verified"
		case r.Err() != nil:
			status = "breaks the contract"
		}
		totals = append(totals, []string{r.Runtime, r.Version, status, fmt.Sprint(r.Count(contract.StatusPassed)),
			fmt.Sprint(r.Count(contract.StatusFailed)), fmt.Sprint(r.Count(contract.StatusSkipped)), fmt.Sprintf("%.1fs", r.Seconds), image})
	}
	if len(rows) > 0 {
		if err := table(out, []string{"RUNTIME", "VERSION", "CHECK", "STATUS", "TIME", "DETAIL"}, rows); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
	}
	return table(out, []string{"RUNTIME", "VERSION", "RESULT", "PASSED", "FAILED", "SKIPPED", "TIME", "IMAGE"}, totals)
}
