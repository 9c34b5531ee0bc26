//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"
)

// A workflow is what of a GitHub Actions workflow the one in docs/REPORTS.md
// uses. Anything else in it ends the test.
type workflow struct {
	On, Concurrency any
	Env             map[string]string
	Jobs            map[string]workflowJob
}

type workflowJob struct {
	Needs       list
	If          string
	Outputs     map[string]string
	Permissions map[string]string
	RunsOn      string `yaml:"runs-on"`
	Strategy    struct {
		FailFast bool `yaml:"fail-fast"`
		Matrix   string
	}
	Steps []workflowStep
}

type workflowStep struct {
	ID, Uses, Run string
	With, Env     map[string]string
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

// documentedWorkflow reads the workflow of docs/REPORTS.md.
func documentedWorkflow(t *testing.T) workflow {
	t.Helper()
	_, rest, _ := strings.Cut(read(t, "../../docs/REPORTS.md"), "## A matrix of CI jobs")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	source, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("docs/REPORTS.md has no workflow under its heading")
	}
	var w workflow
	decoder := yaml.NewDecoder(strings.NewReader(source))
	decoder.KnownFields(true)
	if err := decoder.Decode(&w); err != nil {
		t.Fatal(err)
	}
	return w
}

// A workflowRun runs a workflow as GitHub would: each job in a clone of its own,
// those of a matrix at once, each step's lines in a shell.
type workflowRun struct {
	t        *testing.T
	workflow workflow
	origin   string
	env      []string
	dir      string
	// status is "success", "failure" or "skipped", by job.
	status  map[string]string
	outputs map[string]map[string]string

	mu  sync.Mutex
	log strings.Builder
}

// runWorkflow runs the workflow on what origin's branch main has.
func runWorkflow(t *testing.T, w workflow, origin string, env ...string) *workflowRun {
	t.Helper()
	r := &workflowRun{t: t, workflow: w, origin: origin, env: env, dir: t.TempDir(), status: map[string]string{}, outputs: map[string]map[string]string{}}
	for len(r.status) < len(w.Jobs) {
		ran := len(r.status)
		for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
			ready := !slices.ContainsFunc(w.Jobs[name].Needs, func(need string) bool { return r.status[need] == "" })
			if r.status[name] == "" && ready {
				r.job(name, w.Jobs[name])
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
	entries := []map[string]any{nil}
	if job.Strategy.Matrix != "" {
		var matrix struct{ Include []map[string]any }
		r.json(job.Strategy.Matrix, &matrix)
		entries = matrix.Include
	}
	results := make([]bool, len(entries))
	var group sync.WaitGroup
	for i, entry := range entries {
		group.Go(func() {
			steps := &workflowSteps{run: r, name: fmt.Sprintf("%s-%d", name, i), index: i, matrix: entry, outputs: map[string]string{}}
			results[i] = steps.all(job)
		})
	}
	group.Wait()
	r.status[name] = "success"
	if slices.Contains(results, false) {
		r.status[name] = "failure"
	}
}

// wanted is what the job's condition comes to. Without a function of the status
// in it, all that the job needs must have succeeded.
func (r *workflowRun) wanted(job workflowJob) bool {
	r.t.Helper()
	condition := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(job.If), "${{"), "}}")
	if !strings.Contains(condition, "()") {
		for _, need := range job.Needs {
			if r.status[need] != "success" {
				return false
			}
		}
	}
	for _, term := range strings.Split(condition, "&&") {
		term = strings.TrimSpace(term)
		switch {
		case term == "", term == "!cancelled()":
		case term == "!failure()":
			if slices.Contains(slices.Collect(maps.Values(r.status)), "failure") {
				return false
			}
		case strings.HasSuffix(term, ").include[0] != null"):
			var matrix struct{ Include []any }
			r.json(strings.TrimSuffix(term, ".include[0] != null"), &matrix)
			if len(matrix.Include) == 0 {
				return false
			}
		default:
			r.t.Fatalf("the condition %q is none that this test knows", term)
		}
	}
	return true
}

// json reads fromJSON(needs.JOB.outputs.NAME), with ${{ }} around or without.
func (r *workflowRun) json(expression string, into any) {
	r.t.Helper()
	inner := regexp.MustCompile(`^(?:\$\{\{ *)?fromJSON\((.*)\)(?: *\}\})?$`).FindStringSubmatch(expression)
	if inner == nil {
		r.t.Fatalf("the expression %q is none that this test knows", expression)
	}
	text, ok := r.needed(inner[1])
	if !ok {
		r.t.Fatalf("the expression %q is none that this test knows", inner[1])
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.t.Fatalf("%s is %q: %v", inner[1], text, err)
	}
}

// needed is the value of needs.JOB.outputs.NAME.
func (r *workflowRun) needed(expression string) (string, bool) {
	parts := strings.Split(expression, ".")
	if len(parts) != 4 || parts[0] != "needs" || parts[2] != "outputs" {
		return "", false
	}
	value, ok := r.outputs[parts[1]][parts[3]]
	return value, ok
}

// A workflowSteps runs the steps of one job on one machine.
type workflowSteps struct {
	run     *workflowRun
	name    string
	index   int
	matrix  map[string]any
	outputs map[string]string // "STEP.NAME"
}

// all runs the steps up to the first that fails.
func (s *workflowSteps) all(job workflowJob) bool {
	dir := filepath.Join(s.run.dir, s.name)
	for i, step := range job.Steps {
		var err error
		action, _, _ := strings.Cut(step.Uses, "@")
		switch {
		case step.Run != "":
			err = s.shell(dir, step, fmt.Sprintf("%s-output-%d", dir, i))
		case action == "actions/checkout":
			err = s.command("", nil, "git", "clone", "-q", "--depth", "1", "--branch", "main", "file://"+s.run.origin, dir)
		case action == "actions/upload-artifact":
			err = s.copyReport(filepath.Join(dir, step.With["path"]), filepath.Join(s.run.dir, "artifacts", s.expand(step.With["name"])))
		case action == "actions/download-artifact":
			err = s.download(step.With["pattern"], filepath.Join(dir, step.With["path"]))
		default:
			err = fmt.Errorf("the action %q is none that this test knows", step.Uses)
		}
		if err != nil {
			s.run.t.Logf("%s: %v", s.name, err)
			return false
		}
	}
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	s.run.outputs[s.name[:strings.LastIndexByte(s.name, '-')]] = map[string]string{}
	for name, value := range job.Outputs {
		s.run.outputs[s.name[:strings.LastIndexByte(s.name, '-')]][name] = s.expand(value)
	}
	return true
}

// shell runs a step's lines as GitHub does on Linux, and takes its outputs.
func (s *workflowSteps) shell(dir string, step workflowStep, output string) error {
	env := []string{"GITHUB_OUTPUT=" + output}
	for name, value := range s.run.workflow.Env {
		env = append(env, name+"="+value)
	}
	for name, value := range step.Env {
		env = append(env, name+"="+s.expand(value))
	}
	if err := s.command(dir, append(env, s.run.env...), "bash", "-e", "-c", step.Run); err != nil {
		return err
	}
	content, err := os.ReadFile(output)
	if os.IsNotExist(err) {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		s.outputs[step.ID+"."+name] = value
	}
	return err
}

func (s *workflowSteps) command(dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	fmt.Fprintf(&s.run.log, "%s: %s\n%s", s.name, args[len(args)-1], out)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", args[len(args)-1], err, tail(string(out)))
	}
	return nil
}

func (s *workflowSteps) copyReport(from, folder string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	// Like the action: an artifact has one uploader.
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, filepath.Base(from)), content, 0o644)
}

// download is the action with a pattern: each artifact in a folder of its name.
// It does nothing where there is none.
func (s *workflowSteps) download(pattern, dir string) error {
	found, err := filepath.Glob(filepath.Join(s.run.dir, "artifacts", pattern))
	if err != nil {
		return err
	}
	for _, artifact := range found {
		if err := os.CopyFS(filepath.Join(dir, filepath.Base(artifact)), os.DirFS(artifact)); err != nil {
			return err
		}
	}
	return nil
}

// expand puts values in the place of ${{ }}.
func (s *workflowSteps) expand(text string) string {
	return regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`).ReplaceAllStringFunc(text, func(match string) string {
		expression := strings.TrimSpace(match[3 : len(match)-2])
		step, isStep := strings.CutPrefix(expression, "steps.")
		id, output, _ := strings.Cut(step, ".outputs.")
		value, needed := s.run.needed(expression)
		switch {
		case expression == "strategy.job-index":
			return fmt.Sprint(s.index)
		case strings.HasPrefix(expression, "matrix."):
			return fmt.Sprint(s.matrix[strings.TrimPrefix(expression, "matrix.")])
		case isStep:
			return s.outputs[id+"."+output]
		case needed:
			return value
		}
		s.run.t.Errorf("the expression %q is none that this test knows", expression)
		return ""
	})
}
