package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// planned makes a plan, and the discovery that it is of, of lines
// "NAME:TAG [< PARENT,...] [> VERSION,...]".
func planned(t *testing.T, lines ...string) (*discover.Discovery, *build.Plan) {
	t.Helper()
	d, plan := &discover.Discovery{}, &build.Plan{}
	for _, line := range lines {
		line, users, _ := strings.Cut(line, " > ")
		name, parents, _ := strings.Cut(line, " < ")
		repository, tag, _ := strings.Cut(name, ":")
		ref, err := reference.Parse("acme/" + repository)
		if err != nil {
			t.Fatal(err)
		}
		target := &discover.Target{Name: name, Repository: ref, Tags: []string{tag}, Dockerfile: "stable/" + repository + "/Dockerfile." + tag}
		if parents != "" {
			target.DependsOn = strings.Split(parents, ",")
		}
		for _, field := range strings.FieldsFunc(users, func(r rune) bool { return r == ',' }) {
			runtime, version, _ := strings.Cut(field, ":")
			field := discover.Field{Runtime: runtime, Version: version, Phase: manifest.RuntimePhase}
			target.UsedBy = append(target.UsedBy, field)
			d.Usages = append(d.Usages, discover.Usage{Field: field, Target: name})
		}
		d.Targets = append(d.Targets, target)
		plan.Steps = append(plan.Steps, build.Step{Target: target})
	}
	return d, plan
}

func TestJobs(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		// want are "STAGE NAME = TARGETS".
		want []string
	}{
		"one for each version": {
			lines: []string{"go:1 > go:1", "go-init:1 > go:1,go:1", "go:2 > go:2"},
			want:  []string{"images go:1 = go:1 go-init:1", "images go:2 = go:2"},
		},
		"what many share comes before": {
			lines: []string{"proxy:latest", "go:1 < proxy:latest > go:1", "php:8 < proxy:latest > php:8"},
			want:  []string{"parents proxy:latest = proxy:latest", "images go:1 = go:1", "images php:8 = php:8"},
		},
		"what one needs is in its job": {
			lines: []string{"base:1", "proxy:1 < base:1", "java-init:17 > java:17", "java:17 < java-init:17,proxy:1 > java:17"},
			want:  []string{"images java:17 = base:1 proxy:1 java-init:17 java:17"},
		},
		"parents of parents are one stage": {
			lines: []string{"base:1", "x:1 < base:1 > x:1", "proxy:1 < base:1", "a:1 < proxy:1 > a:1", "b:1 < proxy:1 > b:1"},
			want:  []string{"parents proxy:1 = base:1 proxy:1", "images x:1 = x:1", "images a:1 = a:1", "images b:1 = b:1"},
		},
		"a version may be a parent": {
			lines: []string{"go:1 > go:1", "a:1 < go:1 > a:1", "b:1 < go:1 > b:1"},
			want:  []string{"parents go:1 = go:1", "images a:1 = a:1", "images b:1 = b:1"},
		},
		"a runtime borrows another's image": {
			lines: []string{"node:20 > node:20", "node-init:20 < node:20 > node:20,slim:20", "slim-x:20 < node:20 > slim:20", "node:18 > node:18"},
			want:  []string{"images node:20,slim:20 = node:20 node-init:20 slim-x:20", "images node:18 = node:18"},
		},
		"one image for all versions": {
			lines: []string{"py-init:1 > py:3,py:4", "py:3 > py:3", "py:4 > py:4", "other:1 > other:1"},
			want:  []string{"images py = py-init:1 py:3 py:4", "images other:1 = other:1"},
		},
		"versions that are built from each other": {
			lines: []string{"a-init:1 > a:1", "b-init:1 > b:1", "a:1 < b-init:1 > a:1", "b:1 < a-init:1 > b:1", "c:1 > c:1"},
			want:  []string{"images a:1,b:1 = a-init:1 b-init:1 a:1 b:1", "images c:1 = c:1"},
		},
		"a version that one other is built from": {
			lines: []string{"a:1 > a:1", "b:1 < a:1 > b:1"},
			want:  []string{"images a:1,b:1 = a:1 b:1"},
		},
		"a diamond": {
			lines: []string{"base:1", "l:1 < base:1", "r:1 < base:1", "top:1 < l:1,r:1 > top:1"},
			want:  []string{"images top:1 = base:1 l:1 r:1 top:1"},
		},
		"a version is called as another's image": {
			lines: []string{"go:1 > web:1", "foo:1 > go:1"},
			want:  []string{"images web:1 = go:1", "images foo:1 = foo:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, plan := planned(t, test.lines...)
			jobs := jobsOf(d, plan)
			var got []string
			for _, job := range jobs {
				got = append(got, fmt.Sprintf("%s %s = %s", job.Stage, job.Name, strings.Join(job.Targets, " ")))
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			apart(t, d, plan, jobs)
		})
	}
}

// apart wants the names of jobs to select their targets and nothing else, each
// target to be in one job, and what a job needs of others to be in the stage
// before.
func apart(t *testing.T, d *discover.Discovery, plan *build.Plan, jobs []Job) {
	t.Helper()
	in := map[string]Job{}
	for _, job := range jobs {
		for _, name := range selection(d, job.Name) {
			if !slices.Contains(job.Targets, name) {
				t.Errorf("%s selects %s as well", job.Name, name)
			}
		}
		wanted := map[string]bool{}
		for _, name := range selection(d, job.Name) {
			wanted[name] = true
		}
		for _, name := range job.Targets {
			if !slices.ContainsFunc(plan.Subset(wanted).Steps, func(step build.Step) bool { return step.Name == name }) {
				t.Errorf("%s does not build %s", job.Name, name)
			}
		}
		if versions, err := d.Versions([]string{job.Name}); err != nil || len(versions) != len(job.UsedBy) {
			t.Errorf("%s names the versions %v, %v; want %v", job.Name, versions, err, job.UsedBy)
		}
		for _, target := range job.Targets {
			if other, ok := in[target]; ok {
				t.Errorf("%s is in %s and in %s", target, other.Name, job.Name)
			}
			in[target] = job
		}
	}
	for _, step := range plan.Steps {
		for _, parent := range step.DependsOn {
			if of := in[parent]; of.Name != in[step.Name].Name && (of.Stage != StageParents || in[step.Name].Stage != StageImages) {
				t.Errorf("%s of %s needs %s of %s in the same stage", step.Name, in[step.Name].Name, parent, of.Name)
			}
		}
	}
}

func TestUnreleased(t *testing.T) {
	p := prepared(t, "released:1=a", "missing:1=b", "untagged:1=c", "behind:1+2=d")
	const digest, other = "sha256:1", "sha256:2"
	for i, tags := range []map[string]string{
		{"reg.example/acme/released:1": digest},
		{"reg.example/acme/missing:1": other},
		{},
		{"reg.example/acme/behind:1": digest, "reg.example/acme/behind:2": other},
	} {
		p.Steps[i].Published = tags
		if i != 1 {
			p.Steps[i].Existing = digest
		}
	}
	got, err := unreleased("reg.example", p)
	if err != nil || len(got) != 3 || got["released:1"] {
		t.Errorf("got %v, %v", got, err)
	}
	broken := errors.New("not asked")
	p.Steps[0].Err = broken
	if _, err := unreleased("reg.example", p); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestUnreported(t *testing.T) {
	jobs := []Job{{Name: "go:1", Targets: []string{"go:1", "go-init:1"}}, {Name: "php:8", Targets: []string{"php:8"}}}
	images := map[string]Pushed{"go:1": {}, "go-init:1": {}, "php:8": {}, "proxy": {}}
	if err := Unreported(jobs, images); err != nil {
		t.Error(err)
	}
	delete(images, "go-init:1")
	if err := Unreported(jobs, images); err == nil || !strings.Contains(err.Error(), "no report has go-init:1, of the job go:1") {
		t.Errorf("got %v", err)
	}
}
