package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
)

// A Stage says when a job of a matrix runs.
type Stage string

const (
	// StageParents jobs come first: they make what the images of several jobs are
	// built from.
	StageParents Stage = "parents"
	// StageImages jobs come after them.
	StageImages Stage = "images"
)

// A Job is a part of a plan that one machine builds. No two jobs of a stage have
// a target in common, nor are targets of one built from those of another.
type Job struct {
	// Name selects the job's targets on a command line and nothing else, besides
	// what they are built from.
	Name  string
	Stage Stage
	// Targets are names, in the plan's order.
	Targets []string
	// UsedBy are those of the targets, one for each version.
	UsedBy []discover.Field
}

// uses tells whether the job makes an image for a field's version.
func (j Job) uses(field discover.Field) bool {
	return slices.ContainsFunc(j.UsedBy, func(known discover.Field) bool { return version(known) == version(field) })
}

// jobsOf divides a plan. Targets that one version uses are in one job, so that it
// can be verified there; so is what is built from each other, except that what
// several jobs need is a job of its own, in the stage before. The jobs of a tree
// depend on its structure alone, and not on what changed.
func jobsOf(d *discover.Discovery, plan *build.Plan) []Job {
	g := newGrouping(plan.Steps)
	g.joinVersions()
	selectors := g.joinSelected(d)
	for joined := true; joined; {
		joined = g.joinCircles() || g.joinOnlyChildren()
	}
	shared := g.joinShared()
	var jobs []Job
	for _, members := range g.groups() {
		job := Job{Stage: StageImages}
		if shared[g.find(members[0])] {
			job.Stage = StageParents
		}
		for _, i := range members {
			job.Targets = append(job.Targets, plan.Steps[i].Name)
			for _, field := range plan.Steps[i].UsedBy {
				if !job.uses(field) {
					job.UsedBy = append(job.UsedBy, field)
				}
			}
		}
		job.Name = g.nameJob(d, job, selectors)
		jobs = append(jobs, job)
	}
	slices.SortStableFunc(jobs, func(a, b Job) int { return stageOrder(a.Stage) - stageOrder(b.Stage) })
	return jobs
}

func stageOrder(s Stage) int {
	if s == StageParents {
		return 0
	}
	return 1
}

// version is a field's on a command line.
func version(field discover.Field) string { return field.Runtime + ":" + field.Version }

// DueJobs are the jobs of what the options select that have something to do: one
// of their images changed since the revision Since, or where that is not given,
// one is not released yet. Nothing is written.
func (p *Project) DueJobs(ctx context.Context, e Edges, o Options) ([]Job, error) {
	plan, err := p.Plan(o.Names)
	if err != nil {
		return nil, err
	}
	if err := p.tellUndecided(e, o); err != nil {
		return nil, err
	}
	due, err := p.due(ctx, e, o, plan)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(jobsOf(p.Discovery, plan), func(job Job) bool {
		return !slices.ContainsFunc(job.Targets, func(name string) bool { return due[name] })
	}), nil
}

// due are the names of the targets that have something to do.
func (p *Project) due(ctx context.Context, e Edges, o Options, plan *build.Plan) (map[string]bool, error) {
	if o.Since == "" {
		return unreleased(o.Destination, e.run(o).Prepare(ctx, plan))
	}
	difference, err := differenceSince(ctx, e, o.Since, e.run(o).Fingerprint(ctx, plan))
	if err != nil {
		return nil, err
	}
	return difference.Targets, nil
}

// A grouping puts steps into groups: sets that are joined.
type grouping struct {
	steps []build.Step
	index map[string]int
	// above leads from each step to the first of its group.
	above []int
}

func newGrouping(steps []build.Step) *grouping {
	g := &grouping{steps: steps, index: map[string]int{}, above: make([]int, len(steps))}
	for i, step := range steps {
		g.index[step.Name], g.above[i] = i, i
	}
	return g
}

// find is the first step of a step's group.
func (g *grouping) find(i int) int {
	for g.above[i] != i {
		i = g.above[i]
	}
	return i
}

// join makes one group of two, and tells whether they were two.
func (g *grouping) join(a, b int) bool {
	a, b = g.find(a), g.find(b)
	g.above[max(a, b)] = min(a, b)
	return a != b
}

// groups are the steps of each group, all in the plan's order.
func (g *grouping) groups() [][]int {
	members := map[int][]int{}
	for i := range g.steps {
		members[g.find(i)] = append(members[g.find(i)], i)
	}
	var groups [][]int
	for _, first := range slices.Sorted(maps.Keys(members)) {
		groups = append(groups, members[first])
	}
	return groups
}

// joinVersions joins what one version uses.
func (g *grouping) joinVersions() {
	first := map[string]int{}
	for i, step := range g.steps {
		for _, field := range step.UsedBy {
			if known, ok := first[version(field)]; ok {
				g.join(known, i)
			} else {
				first[version(field)] = i
			}
		}
	}
}

// joinSelected finds the word that selects as few targets as possible for each
// of them, and joins those that no word tells apart.
func (g *grouping) joinSelected(d *discover.Discovery) (selectors map[string]string) {
	selectors = map[string]string{}
	for i, step := range g.steps {
		words := []string{step.Name}
		for _, tag := range step.Tags {
			words = append(words, step.Repository.Name+":"+tag)
		}
		var fewest []string
		for _, word := range append(words, step.Dockerfile) {
			selected := selection(d, word)
			if slices.Contains(selected, step.Name) && (fewest == nil || len(selected) < len(fewest)) {
				selectors[step.Name], fewest = word, selected
			}
		}
		for _, name := range fewest {
			if other, ok := g.index[name]; ok {
				g.join(i, other)
			}
		}
	}
	return selectors
}

// selection are the names of the targets that an argument selects, sorted.
func selection(d *discover.Discovery, argument string) []string {
	targets, err := d.Select([]string{argument})
	if err != nil {
		return nil
	}
	var names []string
	for _, t := range targets {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}

// children are the groups that are built from each group.
func (g *grouping) children() map[int]map[int]bool {
	children := map[int]map[int]bool{}
	for i, step := range g.steps {
		for _, name := range step.DependsOn {
			parent, child := g.find(g.index[name]), g.find(i)
			if parent == child {
				continue
			}
			if children[parent] == nil {
				children[parent] = map[int]bool{}
			}
			children[parent][child] = true
		}
	}
	return children
}

// joinCircles joins groups that are built from each other, as those of two
// versions may be.
func (g *grouping) joinCircles() bool {
	below := map[int]map[int]bool{}
	children := g.children()
	for group := range children {
		below[group] = map[int]bool{}
		descend(children, group, below[group])
	}
	joined := false
	for group, others := range below {
		for other := range others {
			if below[other][group] && g.join(group, other) {
				joined = true
			}
		}
	}
	return joined
}

// descend adds to seen all groups that are built from a group.
func descend(children map[int]map[int]bool, group int, seen map[int]bool) {
	for child := range children[group] {
		if !seen[child] {
			seen[child] = true
			descend(children, child, seen)
		}
	}
}

// joinOnlyChildren joins a group with the only one that is built from it.
func (g *grouping) joinOnlyChildren() bool {
	for parent, children := range g.children() {
		for child := range children {
			if len(children) == 1 {
				return g.join(parent, child)
			}
		}
	}
	return false
}

// joinShared tells the groups that several are built from, each by its first
// step, and joins those that are built from each other: there is one stage for
// all.
func (g *grouping) joinShared() map[int]bool {
	children := g.children()
	for parent, below := range children {
		for child := range below {
			if children[child] != nil {
				g.join(parent, child)
			}
		}
	}
	shared := map[int]bool{}
	for parent := range children {
		shared[g.find(parent)] = true
	}
	return shared
}

// nameJob finds an argument that selects what the job has: one word where there
// is one, else several with commas between them. Targets that no version uses
// need no word if others of the job are built from them.
func (g *grouping) nameJob(d *discover.Discovery, job Job, selectors map[string]string) string {
	want := map[string]bool{}
	for _, field := range job.UsedBy {
		want["version "+version(field)] = true
	}
	for _, name := range job.Targets {
		want[name] = true
	}
	var words []string
	for _, field := range job.UsedBy {
		words = append(words, version(field))
	}
	words = append(words, job.Targets...)
	for _, field := range job.UsedBy {
		words = append(words, field.Runtime)
	}
	inside := words[:0:0]
	covers := map[string]map[string]bool{}
	for _, word := range words {
		covered, outside := g.covered(d, word, job)
		covers[word] = covered
		if len(covered) == len(want) && !outside {
			return word
		}
		if !outside {
			inside = append(inside, word)
		}
	}
	for _, name := range job.Targets {
		covers[selectors[name]], _ = g.covered(d, selectors[name], job)
		inside = append(inside, selectors[name])
	}
	var list []string
	for _, word := range inside {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(covers[word])), func(thing string) bool { return want[thing] }) {
			continue
		}
		list = append(list, word)
		for thing := range covers[word] {
			delete(want, thing)
		}
	}
	return strings.Join(list, ",")
}

// covered are the versions ("version go:1.24") and those of the job's targets
// that a word names, with what these are built from; outside tells whether
// it names more than the job.
func (g *grouping) covered(d *discover.Discovery, word string, job Job) (covered map[string]bool, outside bool) {
	covered = map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if !slices.Contains(job.Targets, name) || covered[name] {
			return
		}
		covered[name] = true
		for _, parent := range g.steps[g.index[name]].DependsOn {
			add(parent)
		}
	}
	for _, name := range selection(d, word) {
		outside = outside || !slices.Contains(job.Targets, name)
		add(name)
	}
	versions, err := d.Versions([]string{word})
	if err != nil {
		return nil, true
	}
	for _, field := range versions {
		outside = outside || !job.uses(field)
		covered["version "+version(field)] = true
	}
	return covered, outside
}

// unreleased are the names of the targets of which the registry lacks something:
// the image of today's inputs, or a version tag that points to it. What could
// not be asked is an error.
func unreleased(destination string, prepared *build.Prepared) (map[string]bool, error) {
	unreleased := map[string]bool{}
	var errs []error
	for _, step := range prepared.Steps {
		errs = append(errs, step.Err)
		if !released(destination, step, step.Existing) {
			unreleased[step.Name] = true
		}
	}
	return unreleased, errors.Join(errs...)
}

// Unreported is an error that names the jobs of a matrix of which images lacks
// a target.
func Unreported(jobs []Job, images map[string]Pushed) error {
	var errs []error
	for _, job := range jobs {
		for _, target := range job.Targets {
			if _, ok := images[target]; !ok {
				errs = append(errs, fmt.Errorf("no report has %s, of the job %s: its report is missing, or it did not end", target, job.Name))
			}
		}
	}
	return errors.Join(errs...)
}
