package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/internal/edge/runlock"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// runOptions are the flags of the commands that build.
type runOptions struct {
	push, rebuild, failFast, locked, rewriteTimestamp bool
	// contentOnly leaves the version tags to a later pin.
	contentOnly           bool
	verify                bool
	since, verifyCommand  string
	secrets, ssh, reports []string
}

func (o *runOptions) flags(set *pflag.FlagSet, push string) {
	set.BoolVar(&o.push, "push", false, push)
	set.BoolVar(&o.rebuild, "rebuild", false, "build what the registry has already, too")
	set.BoolVar(&o.rewriteTimestamp, "rewrite-timestamp", true, "bound the times of files in layers by the image's; =false leaves them as the build made them: faster on a buildkitd, and no two builds alike")
	set.BoolVar(&o.failFast, "fail-fast", false, "end the run at the first failure")
	set.BoolVar(&o.locked, "locked", false, "refuse a base image that the lock file does not have")
	set.StringVar(&o.since, "since", "", "only images that are made of something else than at the git revision `REV`")
	set.BoolVar(&o.verify, "verify", false, "release only runtimes whose images keep the contract, as rtbuild verify checks it; needs a Docker engine")
	set.StringVar(&o.verifyCommand, "verify-command", "", "shell `COMMAND` that decides whether a pushed image may be released; it gets RTBUILD_IMAGE, RTBUILD_DIGEST, RTBUILD_TARGET and RTBUILD_KIND")
	set.StringArrayVar(&o.secrets, "secret", nil, "file for RUN --mount=type=secret: `id=ID,src=FILE`; may be repeated")
	set.StringArrayVar(&o.ssh, "ssh", nil, "agent socket or key for RUN --mount=type=ssh: `default|ID[=PATH]`; may be repeated")
	set.StringArrayVar(&o.reports, "report", nil, "write a report to `FILE`: .json, or .xml for JUnit; may be repeated")
}

// check refuses options that do not go together.
func (o *runOptions) check() error {
	if (o.verify || o.verifyCommand != "") && !o.push {
		return usagef("--verify and --verify-command decide on pushed images: add --push")
	}
	if o.contentOnly && !o.push {
		return usagef("--content-only pushes, but not under the version tags: add --push")
	}
	return checkReports(o.reports)
}

// A runResult is what became of a run.
type runResult struct {
	prepared *build.Prepared
	outcomes []build.Outcome
	place    string
	engine   string
	started  time.Time
	// published tells that the version tags stand for these images.
	published bool
}

// failed tells whether a target has no image.
func (r *runResult) failed() bool {
	for _, out := range r.outcomes {
		if !out.Status.Done() {
			return true
		}
	}
	return false
}

// execute builds the named targets, pushes them by content tag if asked to,
// and keeps every other run out of the tree until done is called.
func (s *session) execute(ctx context.Context, names []string, o runOptions) (result *runResult, done func(), err error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	if err := s.project.Tree.Valid(); err != nil {
		return nil, nil, err
	}
	selected, err := s.project.Discovery.Find(names)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range selected.Undecided {
		s.app.warnf("not built, undecided: %s", u)
	}
	unlock, err := s.app.alone()
	if err != nil {
		return nil, nil, err
	}
	result, err = s.executeLocked(ctx, names, o)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return result, unlock, nil
}

// alone keeps every other run out of the tree until unlock is called. If there
// is one, the error says which.
func (a *app) alone() (unlock func(), err error) {
	path, err := a.stateFolder("run.lock")
	if err != nil {
		return nil, err
	}
	lock, err := runlock.Acquire(path)
	if err != nil {
		return nil, err
	}
	return func() {
		if err := lock.Release(); err != nil {
			a.warnf("%v", err)
		}
	}, nil
}

func (s *session) executeLocked(ctx context.Context, names []string, o runOptions) (*runResult, error) {
	result := &runResult{started: time.Now()}
	run, bases, err := s.newRun(ctx, o)
	if err != nil {
		return nil, err
	}
	result.place = run.Place
	if result.prepared, err = s.prepare(ctx, run, names, o.since); err != nil {
		return nil, err
	}
	if err := s.saveLock(bases); err != nil {
		return nil, err
	}
	if o.verify {
		if err := s.canVerify(ctx, result.prepared); err != nil {
			return nil, err
		}
	}
	if err := s.build(ctx, run, result); err != nil {
		return nil, err
	}
	if o.push {
		s.verify(ctx, result, o)
	}
	return result, nil
}

// build runs the builds. An engine is only opened if there is something to
// build.
func (s *session) build(ctx context.Context, run *build.Run, result *runResult) (err error) {
	stale := false
	for _, step := range result.prepared.Steps {
		stale = stale || step.Err == nil && (run.Rebuild || !step.Fresh())
	}
	if stale {
		builder, err := s.openBuilder(ctx)
		if err != nil {
			return err
		}
		result.engine = builder.Capabilities().Engine
		run.Builder = builder
		// The progress display ends with the builder; results come after it.
		defer func() {
			if closeErr := builder.Close(); closeErr != nil {
				err = errors.Join(err, fmt.Errorf("closing the build engine: %w", closeErr))
			}
		}()
	}
	reasons, err := s.reasons(ctx, run, result)
	if err != nil {
		return err
	}
	result.outcomes = run.Do(ctx, result.prepared)
	for i := range result.outcomes {
		if result.outcomes[i].Status == build.StatusBuilt {
			result.outcomes[i].Reason = reasons[result.outcomes[i].Target.Name]
		}
	}
	return nil
}

// reasons says why each stale image is built, for the report.
func (s *session) reasons(ctx context.Context, run *build.Run, result *runResult) (map[string]string, error) {
	reasons := map[string]string{}
	if !run.Push {
		return reasons, nil
	}
	stale := &build.Prepared{Root: result.prepared.Root}
	for _, step := range result.prepared.Steps {
		switch {
		case step.Err != nil:
		case step.Fresh():
			reasons[step.Name] = "rebuilding was asked for"
		default:
			stale.Steps = append(stale.Steps, step)
		}
	}
	explanations, err := release.Explain(ctx, s.registryClient(), run.Place, stale)
	if err != nil {
		return nil, err
	}
	for _, e := range explanations {
		reasons[e.Target] = strings.Join(e.Reasons, "; ")
	}
	return reasons, nil
}

// newRun prepares a run with its bases.
func (s *session) newRun(ctx context.Context, o runOptions) (*build.Run, *release.Bases, error) {
	place, err := s.place(ctx)
	if err != nil {
		return nil, nil, err
	}
	mode := release.LockAdd
	switch {
	case o.locked:
		mode = release.LockStrict
	case !o.push:
		mode = release.LockOffer
	}
	client := s.registryClient()
	bases, err := s.openBases(ctx, s.lockPath(), client, mode)
	if err != nil {
		return nil, nil, err
	}
	secrets, err := keyValues(o.secrets, "secret", "id", "src")
	if err != nil {
		return nil, nil, err
	}
	ssh := map[string]string{}
	for _, value := range o.ssh {
		id, path, _ := strings.Cut(value, "=")
		ssh[id] = path
	}
	if err := s.resolvePlatforms(ctx); err != nil {
		return nil, nil, err
	}
	run := &build.Run{
		Bases: bases, Confirmer: release.Confirm{Registry: client},
		Place: place, Push: o.push, Rebuild: o.rebuild, FailFast: o.failFast,
		Jobs: s.jobs, Labels: s.config.Labels, Platforms: s.platforms, State: filepath.Join(s.app.root, stateDir),
		BuildPlatform: s.ownPlatform, KeepTimes: !o.rewriteTimestamp || s.config.KeepsTimes(), Secrets: secrets, SSH: ssh,
	}
	return run, bases, nil
}

// keyValues reads "id=x,src=y" lists into a map of one to the other.
func keyValues(values []string, flag, key, value string) (map[string]string, error) {
	result := map[string]string{}
	for _, text := range values {
		fields := map[string]string{}
		for _, pair := range strings.Split(text, ",") {
			k, v, ok := strings.Cut(pair, "=")
			if !ok || k != key && k != value {
				return nil, usagef("--%s %q: write %s=…,%s=…", flag, text, key, value)
			}
			fields[k] = v
		}
		if fields[key] == "" || fields[value] == "" {
			return nil, usagef("--%s %q: write %s=…,%s=…", flag, text, key, value)
		}
		path, err := filepath.Abs(fields[value])
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
		result[fields[key]] = path
	}
	return result, nil
}

// openBases reads a lock file and knows the mirrors.
func (s *session) openBases(ctx context.Context, path string, client *registry.Client, mode release.LockMode) (*release.Bases, error) {
	lock, err := lockfile.Load(path)
	if err != nil {
		return nil, err
	}
	mirrors := map[string]string{}
	for from, to := range s.mirrors {
		if mirrors[from], err = s.locate(ctx, to); err != nil {
			return nil, err
		}
	}
	return release.NewBases(lock, release.NewMirrors(client, mirrors), client, mode), nil
}

// saveLock writes what the run added to the lock file.
func (s *session) saveLock(bases *release.Bases) error {
	if added := bases.Added(); len(added) > 0 {
		s.app.notef("locked %s in %s", strings.Join(added, ", "), s.lockFile)
	}
	return bases.Save()
}

// publish moves the version tags of a run whose images are all there, and
// writes the pins with them.
func (s *session) publish(ctx context.Context, result *runResult, pins *pin.Plan) error {
	client := s.registryClient()
	moves := release.Moves(result.place, result.prepared, result.outcomes)
	if _, err := release.NewPublication(client, client, moves, pins).Publish(ctx); err != nil {
		return fmt.Errorf("%w\nthe images are pushed by their content tags; tags and manifests are as they were, except as said", err)
	}
	result.published = true
	return nil
}
