package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Registry is what a release asks of registries, and does there.
type Registry interface {
	reference.Resolver
	Tagger
	Inspector
}

// Edges are what a release reaches outside of this process.
type Edges struct {
	Registry Registry
	// Bases knows the base images; what it adds to the lock file is saved.
	Bases *Bases
	// OpenBuilder opens the build engine: once, and only if something is to be
	// built.
	OpenBuilder func(ctx context.Context) (build.Builder, error)
	// Gates decide, in this order, which images may be released. An image must
	// pass all.
	Gates []Gate
	// Alone keeps every other run out of the tree until unlock is called; the
	// error says which run is there.
	Alone func() (unlock func(), err error)
	// OpenHistory and Past are for Options.Since: Past says what the whole tree in
	// another folder comes to, by its own settings.
	OpenHistory func(ctx context.Context) (History, error)
	Past        func(ctx context.Context, dir string) (*Snapshot, error)
	// Observer is told what people should know before the release goes on.
	Observer Observer
	// Watcher is told how builds go; nil: nobody is.
	Watcher build.Watcher
}

// An Observer is told what a release found on its way.
type Observer interface {
	// Undecided is told of a Dockerfile that is not built, since it may make one
	// image or another.
	Undecided(discover.Undecided)
	// Locked is told which base images the lock file has from now on.
	Locked(images []string)
	// AllChanged is told why all images count as changed since a revision.
	AllChanged(rev, why string)
	// NotCompared is told of images that count as changed since a revision because
	// it is not known what they are made of today, and why.
	NotCompared(rev string, images []string, why string)
}

// Options say what to release, and how.
type Options struct {
	build.Settings
	// Names select what to work on; none: everything.
	Names []string
	// Since leaves out what is made of the same as at a git revision, if one is
	// given.
	Since string
	// Publish moves the version tags when all images are there. Pin writes the
	// digests into the manifests with that.
	Publish, Pin bool
}

// Release builds what the registry lacks, has the gates look at it, and when all
// images are there moves the version tags and writes the pins, together. What
// became of each target is in the result, failures too: Result.Failed tells. An
// error is what kept the release from coming that far (there is no result then),
// or from being published; tags and manifests are as they were, except as it
// says.
func (p *Project) Release(ctx context.Context, e Edges, o Options) (*Result, error) {
	if err := p.Tree.Valid(); err != nil {
		return nil, err
	}
	if err := p.tellUndecided(e, o); err != nil {
		return nil, err
	}
	unlock, err := e.Alone()
	if err != nil {
		return nil, err
	}
	defer unlock()
	result := &Result{Started: time.Now(), Destination: o.Destination}
	prepared, err := p.prepareLocked(ctx, e, o)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, e.Gates, o, prepared); err != nil {
		return nil, err
	}
	if err := result.build(ctx, e, o, prepared); err != nil {
		return nil, err
	}
	for _, gate := range e.Gates {
		// A run that is to end at the first failure, and had one, asks nothing more.
		if o.FailFast && result.Failed() > 0 {
			break
		}
		verify(ctx, gate, o.Destination, result.Targets)
	}
	if o.Publish && result.Failed() == 0 {
		err = p.publish(ctx, e, o, result)
	}
	result.Elapsed = time.Since(result.Started)
	return result, err
}

// tellUndecided tells the observer of what the options select and nothing builds.
func (p *Project) tellUndecided(e Edges, o Options) error {
	selected, err := p.Discovery.Find(o.Names)
	for _, u := range selected.Undecided {
		e.Observer.Undecided(u)
	}
	return err
}

// Prepare finds out what the images that the options select are made of, and
// what the registry has of them if they are to be pushed. Nothing is written.
func (p *Project) Prepare(ctx context.Context, e Edges, o Options) (*build.Prepared, error) {
	plan, err := p.Plan(o.Names)
	if err != nil {
		return nil, err
	}
	if o.Since == "" {
		return e.run(o).Prepare(ctx, plan), nil
	}
	prepared, err := p.PrepareChanged(ctx, e, o, plan)
	if err == nil {
		e.run(o).LookUp(ctx, prepared)
	}
	return prepared, err
}

// PrepareChanged finds out what the images of a plan are made of, and leaves out
// those that are made of the same as at the revision Since, and are not needed for
// others.
func (p *Project) PrepareChanged(ctx context.Context, e Edges, o Options, plan *build.Plan) (*build.Prepared, error) {
	today := e.run(o).Fingerprint(ctx, plan)
	difference, err := differenceSince(ctx, e, o.Since, today)
	if err != nil {
		return nil, err
	}
	return today.Subset(difference.Targets), nil
}

// prepareLocked is Prepare, and writes what was learnt of base images to the lock
// file. That file may lie in a build context itself: where it changed, all of
// today's tree is looked at once more.
func (p *Project) prepareLocked(ctx context.Context, e Edges, o Options) (*build.Prepared, error) {
	e = e.lookingBackOnce()
	prepared, err := p.Prepare(ctx, e, o)
	if err != nil {
		return nil, err
	}
	if added := e.Bases.Added(); len(added) > 0 {
		e.Observer.Locked(added)
	}
	unsaved := e.Bases.Unsaved()
	if err := e.Bases.Save(); err != nil || !unsaved {
		return prepared, err
	}
	e.Observer = told{e.Observer}
	return p.Prepare(ctx, e, o)
}

// told is an observer that has been told of the revision before.
type told struct{ Observer }

// AllChanged implements Observer.
func (told) AllChanged(string, string) {}

// NotCompared implements Observer.
func (told) NotCompared(string, []string, string) {}

// Fingerprint finds out what some targets are made of, and all that they are
// built from.
func (p *Project) Fingerprint(ctx context.Context, e Edges, o Options, targets map[string]bool) (*build.Prepared, error) {
	wanted := slices.DeleteFunc(slices.Clone(p.Discovery.Targets), func(t *discover.Target) bool { return !targets[t.Name] })
	plan, err := p.PlanTargets(wanted)
	if err != nil {
		return nil, err
	}
	return e.run(o).Fingerprint(ctx, plan), nil
}

func differenceSince(ctx context.Context, e Edges, rev string, today *build.Prepared) (*difference, error) {
	history, err := e.OpenHistory(ctx)
	if err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	difference, err := since(ctx, history, rev, today, e.Past)
	if err != nil {
		return nil, fmt.Errorf("--since %s: %w", rev, err)
	}
	if difference.Whole != "" {
		e.Observer.AllChanged(rev, difference.Whole)
	} else if images, why := notKnown(today); len(images) > 0 {
		e.Observer.NotCompared(rev, images, why)
	}
	return difference, nil
}

func (e Edges) run(o Options) *build.Run {
	return &build.Run{Bases: e.Bases, Registry: e.Registry, Watcher: e.Watcher, Settings: o.Settings}
}

// builds tells whether a step is to be built.
func (o Options) builds(step build.PreparedStep) bool {
	return step.Err == nil && (o.Rebuild || !step.Fresh())
}

// ready asks the gates whether they could decide, if there is something that
// they will be asked for: before anything is built for them.
func ready(ctx context.Context, gates []Gate, o Options, prepared *build.Prepared) error {
	asked := func(step build.PreparedStep) bool {
		return o.builds(step) || step.Err == nil && !released(o.Destination, step, step.Existing)
	}
	if !slices.ContainsFunc(prepared.Steps, asked) {
		return nil
	}
	for _, gate := range gates {
		if err := gate.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// build runs the builds.
func (r *Result) build(ctx context.Context, e Edges, o Options, prepared *build.Prepared) (err error) {
	run := e.run(o)
	if slices.ContainsFunc(prepared.Steps, o.builds) {
		if run.Builder, err = e.OpenBuilder(ctx); err != nil {
			return err
		}
		r.Engine = run.Builder.Capabilities().Engine
		defer func() {
			if closeErr := run.Builder.Close(); closeErr != nil {
				err = errors.Join(err, fmt.Errorf("closing the build engine: %w", closeErr))
			}
		}()
	}
	reasons := reasons(ctx, e, o, prepared)
	r.Targets = run.Do(ctx, prepared)
	for i := range r.Targets {
		if out := &r.Targets[i]; out.Status == build.StatusBuilt {
			out.Reason = reasons[out.Name]
		}
	}
	return nil
}

// reasons says why each image is built that is to be pushed. A registry whose
// image does not tell is no reason not to replace it.
func reasons(ctx context.Context, e Edges, o Options, prepared *build.Prepared) map[string]string {
	texts := make([]string, len(prepared.Steps))
	if o.Push {
		parallel.Each(len(texts), parallel.Lookups, func(i int) {
			step := prepared.Steps[i]
			switch {
			case step.Err != nil:
			case step.Fresh():
				texts[i] = "rebuilding was asked for"
			default:
				explained, err := explain(ctx, e.Registry, o.Destination, step)
				if texts[i] = strings.Join(explained.Reasons, "; "); err != nil {
					texts[i] = fmt.Sprintf("why is not known: %v", err)
				}
			}
		})
	}
	reasons := map[string]string{}
	for i, step := range prepared.Steps {
		reasons[step.Name] = texts[i]
	}
	return reasons
}

// publish moves the version tags and writes the pins.
func (p *Project) publish(ctx context.Context, e Edges, o Options, result *Result) error {
	if o.Pin {
		var changes []pin.Change
		for _, out := range result.Targets {
			changes = append(changes, pinsOf(out.Target, out.Digest)...)
		}
		var err error
		if result.Pins, err = p.Pin(ctx, changes); err != nil {
			return err
		}
	}
	moves := Moves(o.Destination, result.Targets)
	if _, err := NewPublication(e.Registry, e.Registry, moves, result.Pins).Publish(ctx); err != nil {
		return fmt.Errorf("%w\nthe images are pushed by their content tags; tags and manifests are as they were, except as said", err)
	}
	result.Published = true
	return nil
}
