//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A machine runs the steps of one job.
type machine struct {
	on       *workflowRun
	name     string
	dir      string // the checkout
	contexts map[string]any
	steps    map[string]any
	failed   bool
	path     []string // what steps put into PATH
}

func (r *workflowRun) machine(name string) *machine {
	m := &machine{on: r, name: name, dir: filepath.Join(r.dir, name), contexts: r.contexts(), steps: map[string]any{}}
	m.contexts["steps"] = m.steps
	return m
}

// run runs the steps, after one that failed only those that want to.
func (m *machine) run(name string, job workflowJob) bool {
	for i, step := range job.Steps {
		value, asked := any(true), false
		if step.If != "" {
			value, asked = m.on.condition(step.If, m.contexts, m.ended)
		}
		if !truth(value) || m.failed && !asked {
			continue
		}
		if before := m.on.before[step.Name]; before != nil {
			before()
		}
		if err := m.step(step, fmt.Sprintf("%s-step-%d", m.dir, i)); err != nil {
			m.on.t.Logf("%s: %v", m.name, err)
			m.failed = true
		}
	}
	outputs := map[string]any{}
	for output, value := range job.Outputs {
		outputs[output] = m.expand(value)
	}
	m.on.mu.Lock()
	defer m.on.mu.Unlock()
	m.on.outputs[name] = outputs
	return !m.failed
}

// ended answers the functions of the status in a step's condition.
func (m *machine) ended(function string) bool {
	switch function {
	case "failure":
		return m.failed
	case "success":
		return !m.failed
	}
	return function == "always"
}

func (m *machine) step(step workflowStep, files string) error {
	action, _, _ := strings.Cut(step.Uses, "@")
	switch {
	case step.Run != "":
		return m.shell(step, files)
	case action == "./", action == "rtbuild/rtbuild", action == "actions/setup-go":
		return nil // rtbuild is in PATH, and Go is
	case action == "actions/checkout":
		args := []string{"clone", "-q", "--branch", m.on.branch}
		if step.With["fetch-depth"] != "0" {
			args = append(args, "--depth", "1")
		}
		return m.command("", nil, "git", append(args, "file://"+m.on.origin, m.dir)...)
	case action == "actions/upload-artifact":
		return m.upload(step.With["path"], filepath.Join(m.on.dir, "artifacts", m.expand(step.With["name"])))
	case action == "actions/download-artifact":
		return m.download(step.With["pattern"], filepath.Join(m.dir, step.With["path"]))
	}
	return fmt.Errorf("the action %q is none that this test knows", step.Uses)
}

// shell runs a step's lines as GitHub does on Linux, and takes its outputs.
func (m *machine) shell(step workflowStep, files string) error {
	home := m.dir + "-home"
	env := []string{"HOME=" + home, "DOCKER_CONFIG=" + home + "/.docker", "RUNNER_TEMP=" + m.dir + "-temp",
		"GITHUB_OUTPUT=" + files + "-output", "GITHUB_PATH=" + files + "-path", "GITHUB_STEP_SUMMARY=" + m.dir + "-summary"}
	for _, dir := range []string{home, m.dir + "-temp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	all := maps.Clone(m.on.workflow.Env)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, step.Env)
	for name, value := range all {
		env = append(env, name+"="+m.expand(value))
	}
	env = append(env, m.on.env...)
	if len(m.path) > 0 {
		env = append(env, "PATH="+strings.Join(m.path, ":")+":"+os.Getenv("PATH"))
	}
	// GitHub puts values in the place of expressions before the shell reads them.
	flags := []string{"-e"}
	if step.Shell == "bash" {
		flags = []string{"--noprofile", "--norc", "-eo", "pipefail"}
	}
	if err := m.command(m.dir, env, "bash", append(flags, "-c", m.expand(step.Run))...); err != nil {
		return err
	}
	outputs := map[string]any{}
	m.lines(files+"-output", func(line string) {
		name, value, _ := strings.Cut(line, "=")
		outputs[name] = value
	})
	m.lines(files+"-path", func(line string) { m.path = append([]string{line}, m.path...) })
	m.steps[step.ID] = map[string]any{"outputs": outputs}
	return nil
}

// lines are those of a file that a step may have written.
func (m *machine) lines(path string, do func(string)) {
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		m.on.t.Error(err)
	}
	for line := range strings.Lines(string(content)) {
		do(strings.TrimSuffix(line, "\n"))
	}
}

func (m *machine) command(dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(machineEnv(), env...)
	out, err := cmd.CombinedOutput()
	m.on.mu.Lock()
	defer m.on.mu.Unlock()
	fmt.Fprintf(&m.on.log, "%s: %s\n%s", m.name, args[len(args)-1], out)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", args[len(args)-1], err, harness.Tail(string(out)))
	}
	return nil
}

// upload keeps the files of a pattern.
func (m *machine) upload(pattern, folder string) error {
	files, err := filepath.Glob(filepath.Join(m.dir, pattern))
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
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), content, 0o644); err != nil {
			return err
		}
	}
	if len(files) == 0 {
		return fmt.Errorf("there is no %s to keep", pattern)
	}
	return nil
}

// download is the action with a pattern: each artifact in a folder of its name.
// It does nothing where there is none.
func (m *machine) download(pattern, dir string) error {
	found, err := filepath.Glob(filepath.Join(m.on.dir, "artifacts", pattern))
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
func (m *machine) expand(source string) string {
	return regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`).ReplaceAllStringFunc(source, func(match string) string {
		return text(m.on.value(match, m.contexts, m.ended))
	})
}
