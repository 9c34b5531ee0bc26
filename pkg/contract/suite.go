package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/report"
)

const (
	// limitSeconds is the time limit of the container for checks of it.
	limitSeconds = 2
	// atOnce is how many checks with containers of their own run at a time.
	atOnce = 2
	// cleanupLimit bounds the removal of what a run made.
	cleanupLimit = time.Minute
)

// A Suite verifies subjects with one engine. It is safe for concurrent use.
type Suite struct {
	Engine containers.Engine
	// Checks are the names of those to run; none: all.
	Checks []string
}

// Verify runs the checks on a subject. A check that fails is in the report and
// no error; an error is what kept the suite from running: a folder without
// contract functions, an image that cannot be pulled, an unknown check, a
// cancelled context.
func (s *Suite) Verify(ctx context.Context, subject Subject) (*SubjectReport, error) {
	report, err := s.verify(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", subject, err)
	}
	return report, nil
}

func (s *Suite) verify(ctx context.Context, subject Subject) (_ *SubjectReport, err error) {
	selected, err := choose(s.Checks)
	if err != nil {
		return nil, err
	}
	r, err := newRunner(ctx, s.Engine, subject)
	if err != nil {
		return nil, err
	}
	verified := &SubjectReport{Runtime: subject.Runtime, Version: subject.Version, Started: time.Now().UTC().Truncate(time.Millisecond)}
	for _, phase := range subject.Phases {
		image := r.images[phase.Phase]
		verified.Images = append(verified.Images, Verified{Phase: phase.Phase, Reference: image.Reference, ID: image.ID, Labels: image.Labels})
	}
	defer func() { err = errors.Join(err, r.cleanUp(ctx)) }()
	verified.Results = r.runAll(ctx, selected)
	verified.Seconds = report.Seconds(time.Since(verified.Started))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return verified, nil
}

// choose are the checks of these names, in the suite's order.
func choose(names []string) ([]check, error) {
	all := checks()
	if len(names) == 0 {
		return all, nil
	}
	if err := CheckNames(names); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c check) bool { return !slices.Contains(names, c.name) }), nil
}

// CheckNames is an error that names the first of names that no check has.
func CheckNames(names []string) error {
	known := Names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no check %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// A runner verifies one subject.
type runner struct {
	*deployer
	// contract deploys the contract function, once.
	contract func() (*containers.Prepared, error)

	mu          sync.Mutex
	deployments []*containers.Prepared
	servers     []containers.Server
}

func newRunner(ctx context.Context, engine containers.Engine, subject Subject) (*runner, error) {
	if _, err := subject.load(subject.Functions, "contract", false); err != nil {
		return nil, fmt.Errorf("reading the contract functions: %w", err)
	}
	d, err := newDeployer(ctx, engine, subject)
	if err != nil {
		return nil, err
	}
	r := &runner{deployer: d}
	r.contract = sync.OnceValues(func() (*containers.Prepared, error) { return r.deployNamed(ctx, "contract") })
	return r, nil
}

func (r *runner) deployNamed(ctx context.Context, base string) (*containers.Prepared, error) {
	f, err := r.subject.load(r.subject.Functions, base, false)
	if err != nil {
		return nil, err
	}
	return r.deploy(ctx, f)
}

// A trial is one run of one check.
type trial struct {
	*runner
	// server is the container that the check looks at: the shared one, or the
	// last that it started itself.
	server *server
	// before is what the server had printed when the check began.
	before containers.Output
}

// runAll runs the checks. The shared container starts without company, so that
// its start time says something; then the containers go on side by side.
func (r *runner) runAll(ctx context.Context, selected []check) []Result {
	results := make([]Result, len(selected))
	shared := r.open(ctx, selected, onShared, function.DefaultTimeout)
	var running sync.WaitGroup
	running.Go(func() { r.inTurn(ctx, selected, onShared, shared, results) })
	running.Go(func() {
		limited := r.open(ctx, selected, onLimited, limitSeconds)
		r.inTurn(ctx, selected, onLimited, limited, results)
	})
	var own []int
	for i, c := range selected {
		if c.where == byItself {
			own = append(own, i)
		}
	}
	running.Go(func() {
		parallel.Each(len(own), atOnce, func(n int) { results[own[n]] = r.try(ctx, selected[own[n]], opened{}) })
	})
	running.Wait()
	return results
}

// inTurn runs the checks of one container.
func (r *runner) inTurn(ctx context.Context, selected []check, where placement, on opened, results []Result) {
	for i, c := range selected {
		if c.where == where {
			results[i] = r.try(ctx, c, on)
		}
	}
}

// opened is a container for several checks, or why there is none.
type opened struct {
	server *server
	err    error
}

// open starts a container of the contract function if a check needs it.
func (r *runner) open(ctx context.Context, selected []check, where placement, timeout int) opened {
	needed := func(c check) bool { return c.where == where && r.exempt(c) == "" }
	if !slices.ContainsFunc(selected, needed) {
		return opened{}
	}
	d, err := r.contract()
	if err != nil {
		return opened{err: err}
	}
	s, err := r.serve(ctx, d, timeout)
	if err == nil {
		err = s.settle(ctx)
	}
	return opened{server: s, err: err}
}

// exempt is why a check does not apply, or empty.
func (r *runner) exempt(c check) string {
	if reason := r.settings.Skip[c.name]; reason != "" {
		return reason
	}
	if c.skip != nil {
		return c.skip(r.subject)
	}
	return ""
}

// try runs one check.
func (r *runner) try(ctx context.Context, c check, on opened) Result {
	result := Result{Check: c.name, Status: StatusSkipped}
	if result.Detail = r.exempt(c); result.Detail != "" {
		return result
	}
	began := time.Now()
	t := r.attempt(ctx, c, on, &result)
	if c.timed && result.Status == StatusFailed && on.err == nil && ctx.Err() == nil {
		first := result.Detail
		r.discard(ctx, c, t)
		t = r.attempt(ctx, c, on, &result)
		result.Tries = 2
		result.Detail = strings.TrimSpace(result.Detail + " (second try; the first: " + first + ")")
	}
	result.Seconds = report.Seconds(time.Since(began))
	r.discard(ctx, c, t)
	return result
}

// attempt runs a check once.
func (r *runner) attempt(ctx context.Context, c check, on opened, result *Result) *trial {
	t := &trial{runner: r, server: on.server}
	err := on.err
	if err == nil {
		result.Detail, err = t.run(ctx, c)
	}
	result.Status, result.Log = StatusPassed, nil
	if err != nil {
		result.Status, result.Detail = StatusFailed, err.Error()
		result.Log = t.log(ctx, err)
	}
	return t
}

// discard removes a container that the check had for itself.
func (r *runner) discard(ctx context.Context, c check, t *trial) {
	if c.where == byItself && t.server != nil {
		// It is removed in the end if this fails.
		_ = t.server.Remove(ctx)
	}
}

// run runs a check within its time, and says if the container has ended.
func (t *trial) run(ctx context.Context, c check) (detail string, err error) {
	limited, cancel := context.WithTimeout(ctx, c.limit())
	defer cancel()
	if t.server != nil {
		if t.before, err = t.server.Logs(limited); err != nil {
			return "", err
		}
	}
	detail, err = c.run(limited, t)
	if err == nil || ctx.Err() != nil {
		return detail, err
	}
	if limited.Err() != nil {
		err = fmt.Errorf("%w; the check was given %s", err, c.limit())
	}
	if ended := t.ended(ctx); ended != nil && !errors.Is(err, errEnded) {
		err = fmt.Errorf("%w; %w", err, ended)
	}
	return "", err
}

// ended is an error if there is a container that has ended.
func (t *trial) ended(ctx context.Context) error {
	if t.server == nil {
		return nil
	}
	return t.server.alive(ctx)
}

// log is the end of what the phase that failed, or else the server, printed
// during the check: its stderr, then its stdout with the requests.
func (t *trial) log(ctx context.Context, err error) []string {
	var failed *containers.PhaseError
	if errors.As(err, &failed) {
		return failed.Log(logLines)
	}
	if t.server == nil {
		return nil
	}
	output, err := t.server.Logs(ctx)
	if err != nil {
		return []string{"the log could not be read: " + err.Error()}
	}
	return slices.Concat(function.LastLines(strings.TrimPrefix(output.Stderr, t.before.Stderr), logLines),
		function.LastLines(strings.TrimPrefix(output.Stdout, t.before.Stdout), logLines))
}

// start deploys a function and starts it in a container of the check's own.
func (t *trial) start(ctx context.Context, f source) (*server, error) {
	d, err := t.deploy(ctx, f)
	if err != nil {
		return nil, err
	}
	t.server, err = t.serve(ctx, d, function.DefaultTimeout)
	return t.server, err
}

// startContract starts the contract function in a container of the check's own
// and waits until it is ready.
func (t *trial) startContract(ctx context.Context) (*server, error) {
	d, err := t.contract()
	if err != nil {
		return nil, err
	}
	if t.server, err = t.serve(ctx, d, function.DefaultTimeout); err != nil {
		return nil, err
	}
	return t.server, t.server.settle(ctx)
}

// startNamed is start for a contract function.
func (t *trial) startNamed(ctx context.Context, base string) (*server, error) {
	f, err := t.subject.load(t.subject.Functions, base, false)
	if err != nil {
		return nil, err
	}
	return t.start(ctx, f)
}

// deploy is deployer.deploy; cleanUp removes what it made.
func (r *runner) deploy(ctx context.Context, f source) (*containers.Prepared, error) {
	d, err := r.deployer.deploy(ctx, f)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deployments = append(r.deployments, d)
	return d, nil
}

// serve starts the runtime phase of a deployment.
func (r *runner) serve(ctx context.Context, d *containers.Prepared, timeout int) (*server, error) {
	began := time.Now()
	container, err := r.engine.Start(ctx, limited(d, timeout))
	if err != nil {
		return nil, fmt.Errorf("starting the runtime phase: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers = append(r.servers, container)
	return newServer(container, began), nil
}

// cleanUp removes what the run made, also after it was cancelled.
func (r *runner) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	var errs []error
	for _, s := range r.servers {
		errs = append(errs, s.Remove(ctx))
	}
	for _, d := range r.deployments {
		errs = append(errs, d.Remove(ctx))
	}
	return errors.Join(errs...)
}
