//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A workflow is what of a GitHub Actions workflow those of this repository use.
// Anything else in one ends the test.
type workflow struct {
	Name                         string
	On, Concurrency, Permissions any
	Env                          map[string]string
	Jobs                         map[string]workflowJob
}

type workflowJob struct {
	Needs       list
	If          string
	Outputs     map[string]string
	Permissions map[string]string
	RunsOn      string `yaml:"runs-on"`
	Timeout     int    `yaml:"timeout-minutes"`
	Strategy    struct {
		FailFast bool `yaml:"fail-fast"`
		Matrix   string
	}
	Steps []workflowStep
}

type workflowStep struct {
	ID, Name, If, Uses, Run, Shell string
	With, Env                      map[string]string
}

// A list may be written as one.
type list []string

func (l *list) UnmarshalYAML(node *yaml.Node) error {
	var one string
	if node.Decode(&one) == nil {
		*l = list{one}
		return nil
	}
	return node.Decode((*[]string)(l))
}

// readYAML reads a file whose keys are all known.
func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(harness.Read(t, path)))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// A runner runs workflows as GitHub would: each job in a clone of its own, those
// of a matrix at once, each step's lines in a shell.
type runner struct {
	workflow workflow
	origin   string
	// branch is what jobs check out.
	branch string
	// event is github.event; vars and secrets are the repository's.
	event         map[string]any
	vars, secrets map[string]any
	// env are the machine's own variables.
	env []string
	// before is called before a step of that name.
	before map[string]func()
}

// A workflowRun is one run.
type workflowRun struct {
	runner
	t   *testing.T
	dir string
	// status is "success", "failure" or "skipped", by job.
	status  map[string]string
	outputs map[string]map[string]any

	mu  sync.Mutex
	log strings.Builder
}

// run runs the workflow on what origin's branch has.
func (o runner) run(t *testing.T) *workflowRun {
	t.Helper()
	r := &workflowRun{runner: o, t: t, dir: t.TempDir(), status: map[string]string{}, outputs: map[string]map[string]any{}}
	jobs := slices.Sorted(maps.Keys(r.workflow.Jobs))
	for len(r.status) < len(jobs) {
		ran := len(r.status)
		for _, name := range jobs {
			ready := !slices.ContainsFunc(r.workflow.Jobs[name].Needs, func(need string) bool { return r.status[need] == "" })
			if r.status[name] == "" && ready {
				r.job(name, r.workflow.Jobs[name])
			}
		}
		if len(r.status) == ran {
			t.Fatalf("the jobs need each other: %v", r.status)
		}
	}
	t.Logf("the jobs ended so: %v", r.status)
	return r
}

func (r *workflowRun) job(name string, job workflowJob) {
	r.t.Helper()
	if !r.wanted(job) {
		r.status[name] = "skipped"
		return
	}
	entries := []any{nil}
	if job.Strategy.Matrix != "" {
		matrix, _ := r.value(job.Strategy.Matrix, r.contexts(), r.ended).(map[string]any)
		entries, _ = matrix["include"].([]any)
	}
	results := make([]bool, len(entries))
	var group sync.WaitGroup
	for i, entry := range entries {
		group.Go(func() {
			machine := r.machine(fmt.Sprintf("%s-%d", name, i))
			machine.contexts["matrix"], machine.contexts["strategy"] = entry, map[string]any{"job-index": i}
			results[i] = machine.run(name, job)
		})
	}
	group.Wait()
	r.status[name] = "success"
	if slices.Contains(results, false) {
		r.status[name] = "failure"
	}
}

// ended answers the functions of the status in a job's condition.
func (r *workflowRun) ended(function string) bool {
	statuses := slices.Collect(maps.Values(r.status))
	failed := slices.Contains(statuses, "failure")
	switch function {
	case "failure":
		return failed
	case "success":
		return !failed && !slices.Contains(statuses, "skipped")
	}
	return function == "always"
}

// wanted is what the job's condition comes to. Without a function of the status
// in it, all that the job needs must have succeeded.
func (r *workflowRun) wanted(job workflowJob) bool {
	r.t.Helper()
	succeeded := !slices.ContainsFunc(job.Needs, func(need string) bool { return r.status[need] != "success" })
	if job.If == "" {
		return succeeded
	}
	value, asked := r.condition(job.If, r.contexts(), r.ended)
	return truth(value) && (asked || succeeded)
}

// contexts are those of a job's condition.
func (r *workflowRun) contexts() map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	needs := map[string]any{}
	for name, status := range r.status {
		needs[name] = map[string]any{"result": status, "outputs": r.outputs[name]}
	}
	return map[string]any{
		"needs": needs, "vars": r.vars, "secrets": r.secrets,
		"github": map[string]any{
			"ref": "refs/heads/" + r.branch, "ref_name": r.branch, "repository_owner": "acme", "actor": "somebody",
			"token": "no-token-of-the-run", "event": r.event,
		},
	}
}

// condition evaluates an if, which may be written without ${{ }}.
func (r *workflowRun) condition(source string, contexts map[string]any, status func(string) bool) (value any, asked bool) {
	r.t.Helper()
	source = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(source), "${{"), "}}")
	value, asked, err := evaluate(source, contexts, status)
	if err != nil {
		r.t.Error(err)
	}
	return value, asked
}

// value is that of an expression which is all of a text.
func (r *workflowRun) value(source string, contexts map[string]any, status func(string) bool) any {
	r.t.Helper()
	value, _ := r.condition(source, contexts, status)
	return value
}

// machineEnv is the environment of this process without what leads to logins.
func machineEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "REGISTRY_AUTH_FILE=") || strings.HasPrefix(entry, "DOCKER_CONFIG=") || strings.HasPrefix(entry, "HOME=")
	})
}
