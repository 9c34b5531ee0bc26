package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/internal/edge/runlock"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// runOptions are the flags of the commands that build.
type runOptions struct {
	push, rebuild, failFast, locked, rewriteTimestamp bool
	// contentOnly leaves the version tags to a later pin.
	contentOnly           bool
	verify                bool
	since, verifyCommand  string
	progress              string
	secrets, ssh, reports []string
}

func (o *runOptions) flags(set *pflag.FlagSet, push string) {
	set.BoolVar(&o.push, "push", false, push)
	set.BoolVar(&o.rebuild, "rebuild", false, "build what the registry has already, too")
	set.BoolVar(&o.rewriteTimestamp, "rewrite-timestamp", true, "bound the times of files in layers by the image's; =false leaves them as the build made them: faster on a buildkitd, and no two builds alike")
	set.BoolVar(&o.failFast, "fail-fast", false, "end the run at the first failure")
	set.BoolVar(&o.locked, "locked", false, "refuse a base image that the lock file does not have")
	set.StringVar(&o.since, "since", "", "only images that changed since the git revision `REV`")
	set.BoolVar(&o.verify, "verify", false, "release only runtimes whose images keep the contract, as rtbuild verify checks it; needs a Docker engine")
	set.StringVar(&o.verifyCommand, "verify-command", "", "shell `COMMAND` that decides whether a pushed image may be released; it gets RTBUILD_IMAGE, RTBUILD_DIGEST, RTBUILD_TARGET and RTBUILD_KIND")
	set.StringArrayVar(&o.secrets, "secret", nil, "file for RUN --mount=type=secret: `id=ID,src=FILE`; may be repeated")
	set.StringArrayVar(&o.ssh, "ssh", nil, "agent socket or key for RUN --mount=type=ssh: `default|ID[=PATH]`; may be repeated")
	set.StringVar(&o.progress, "progress", "auto", "`FORM` of progress: tty redraws a terminal, lines has a line for each image, plain all that steps print; auto is tty on a terminal, else lines, or plain with --verbose")
	set.StringArrayVar(&o.reports, "report", nil, "write a report to `FILE`: .json, or .xml for JUnit; may be repeated")
}

// check refuses options that do not go together.
func (o *runOptions) check() error {
	if (o.verify || o.verifyCommand != "") && !o.push {
		return invocation.Usagef("--verify and --verify-command decide on pushed images: add --push")
	}
	if o.contentOnly && !o.push {
		return invocation.Usagef("--content-only pushes, but not under the version tags: add --push")
	}
	return checkReports(o.reports)
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
	return a.warned(lock.Release), nil
}

// warned is a release of a lock whose failure is a warning.
func (a *app) warned(release func() error) func() {
	return func() {
		if err := release(); err != nil {
			a.Warnf("%v", err)
		}
	}
}

// release does what the options say, prints the totals and what went wrong, and
// writes the reports. It is an error if a target failed.
func (s *session) release(ctx context.Context, names []string, o runOptions, pin bool) (*release.Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	form, err := s.app.progressForm(o.progress)
	if err != nil {
		return nil, err
	}
	edges, options, err := s.wire(ctx, names, o)
	if err != nil {
		return nil, err
	}
	options.Pin, edges.Gates = pin, s.gates(options.Destination, o)
	edges.OpenBuilder = func(ctx context.Context) (build.Builder, error) { return s.openBuilder(ctx, form) }
	if form == progressLines {
		edges.Watcher = newLineWatcher(s.app.Streams.Err)
	}
	result, err := s.project.Release(ctx, edges, options)
	if result == nil {
		return nil, err
	}
	return result, errors.Join(err, s.finish(ctx, result, o, showsLogs(form)))
}

// wire connects what the names select with what flags and settings say, and with
// what is outside.
func (s *session) wire(ctx context.Context, names []string, o runOptions) (release.Edges, release.Options, error) {
	options, err := s.releaseOptions(ctx, o)
	if err != nil {
		return release.Edges{}, options, err
	}
	options.Names = names
	edges, err := s.releaseEdges(ctx, o)
	return edges, options, err
}

// releaseOptions are what flags and settings say of a release.
func (s *session) releaseOptions(ctx context.Context, o runOptions) (release.Options, error) {
	destination, err := s.destination(ctx)
	if err != nil {
		return release.Options{}, err
	}
	secrets, err := keyValues(o.secrets, "secret", "id", "src")
	if err != nil {
		return release.Options{}, err
	}
	ssh := map[string]string{}
	for _, value := range o.ssh {
		id, path, _ := strings.Cut(value, "=")
		ssh[id] = path
	}
	if err := s.resolvePlatforms(ctx); err != nil {
		return release.Options{}, err
	}
	return release.Options{
		Settings: build.Settings{
			Destination: destination, Push: o.push, Rebuild: o.rebuild, FailFast: o.failFast,
			Jobs: s.Jobs, Labels: s.Config.Labels, Platforms: s.Platforms, State: filepath.Join(s.app.Root, invocation.StateDir),
			BuildPlatform: s.ownPlatform, KeepTimes: !o.rewriteTimestamp || s.Config.KeepsTimes(), Secrets: secrets, SSH: ssh,
		},
		Since: o.since, Publish: o.push && !o.contentOnly,
	}, nil
}

// releaseEdges connect a release with what is outside.
func (s *session) releaseEdges(ctx context.Context, o runOptions) (release.Edges, error) {
	mode := release.LockAdd
	switch {
	case o.locked:
		mode = release.LockStrict
	case !o.push:
		mode = release.LockOffer
	}
	client := s.registryClient()
	bases, err := s.openBases(ctx, s.LockPath(), client, mode)
	if err != nil {
		return release.Edges{}, err
	}
	return release.Edges{
		Registry: client, Bases: bases, Alone: s.app.alone,
		OpenHistory: s.openHistory, Past: s.lookAt, Observer: observer{s},
	}, nil
}

// prepare finds out what the images are made of that the names select, and
// writes nothing.
func (s *session) prepare(ctx context.Context, names []string, o runOptions) (*build.Prepared, error) {
	edges, options, err := s.wire(ctx, names, o)
	if err != nil {
		return nil, err
	}
	return s.project.Prepare(ctx, edges, options)
}

// An observer tells people what a release finds on its way.
type observer struct{ *session }

func (o observer) Undecided(u discover.Undecided) { o.app.Warnf("not built, undecided: %s", u) }

func (o observer) Locked(images []string) {
	o.app.Notef("locked %s in %s", strings.Join(images, ", "), o.LockFile)
}

func (o observer) AllChanged(rev, why string) {
	o.app.Warnf("--since %s: all images count as changed: %s", rev, why)
}

func (o observer) NotCompared(rev string, images []string, why string) {
	o.app.Warnf("--since %s: these count as changed, since it is not known what they are made of (%s): %s; rtbuild lock notes base images where they can be asked for", rev, why, strings.Join(images, ", "))
}

// keyValues reads "id=x,src=y" lists into a map of one to the other.
func keyValues(values []string, flag, key, value string) (map[string]string, error) {
	result := map[string]string{}
	for _, text := range values {
		fields := map[string]string{}
		for _, pair := range strings.Split(text, ",") {
			k, v, ok := strings.Cut(pair, "=")
			if !ok || k != key && k != value {
				return nil, invocation.Usagef("--%s %q: write %s=…,%s=…", flag, text, key, value)
			}
			fields[k] = v
		}
		if fields[key] == "" || fields[value] == "" {
			return nil, invocation.Usagef("--%s %q: write %s=…,%s=…", flag, text, key, value)
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
	for from, to := range s.Mirrors {
		if mirrors[from], err = s.locate(ctx, to); err != nil {
			return nil, err
		}
	}
	return release.NewBases(lock, release.NewMirrors(client, mirrors), client, mode), nil
}
