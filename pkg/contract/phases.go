package contract

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// What the controller gives every function.
const (
	volumePath     = "/kubeless"
	functionUser   = 1000
	functionGroup  = 1000 // fsGroup
	functionPort   = 8080
	defaultTimeout = "180"
	memoryLimit    = "0" // no limit set
)

// A phaseError is a phase whose command failed.
type phaseError struct {
	phase   manifest.Phase
	command string
	outcome Outcome
}

func (e *phaseError) Error() string {
	return fmt.Sprintf("the %s phase ended with exit code %d: %s", e.phase, e.outcome.ExitCode, quote(e.command))
}

// A deployment is a function in a volume, installed and compiled.
type deployment struct {
	function function
	volume   string
	took     time.Duration
}

// deploy runs the phases before the runtime phase as the controller has them
// run. A command that fails is a *phaseError.
func (r *runner) deploy(ctx context.Context, f function) (*deployment, error) {
	began := time.Now()
	files := []File{{Name: f.file, Content: f.content}}
	if r.subject.DepName != "" {
		// The controller writes the file without dependencies, too.
		files = append(files, File{Name: r.subject.DepName, Content: f.deps})
	}
	volume, err := r.engine.CreateVolume(ctx, r.images[manifest.RuntimePhase].ID, functionGroup, files)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", f.file, err)
	}
	r.keepVolume(volume)
	if len(f.deps) > 0 {
		if err := r.install(ctx, volume, f); err != nil {
			return nil, err
		}
	}
	if err := r.compile(ctx, volume); err != nil {
		return nil, err
	}
	return &deployment{function: f, volume: volume, took: time.Since(began)}, nil
}

// install runs the installation phase: the checksum of the dependency file,
// then the manifest's command.
func (r *runner) install(ctx context.Context, volume string, f function) error {
	phase := r.subject.phase(manifest.Installation)
	if phase == nil {
		return nil
	}
	depsFile := volumePath + "/" + r.subject.DepName
	env := r.functionEnv()
	env.setLiteral("KUBELESS_INSTALL_VOLUME", volumePath)
	env.setLiteral("KUBELESS_DEPS_FILE", depsFile)
	env.setAll(phase.Env)
	script := fmt.Sprintf("echo '%x  %s' > /tmp/deps.sha256 && sha256sum -c /tmp/deps.sha256 && %s",
		sha256.Sum256(f.deps), depsFile, phase.Command)
	return r.runPhase(ctx, phase, volume, script, env)
}

// compile runs the compilation phase, if there is one. MOD_NAME is not known
// in it.
func (r *runner) compile(ctx context.Context, volume string) error {
	phase := r.subject.phase(manifest.Compilation)
	if phase == nil {
		return nil
	}
	env := r.functionEnv()
	env.setLiteral("KUBELESS_INSTALL_VOLUME", volumePath)
	env.setLiteral("KUBELESS_FUNC_NAME", r.handler)
	env.setAll(phase.Env)
	return r.runPhase(ctx, phase, volume, phase.Command, env)
}

func (r *runner) runPhase(ctx context.Context, phase *Phase, volume, script string, env *environment) error {
	outcome, err := r.engine.Run(ctx, Container{
		Image: r.images[phase.Phase].ID, Command: []string{"sh", "-c", expand(script, env.lookUp)},
		WorkingDir: volumePath, Env: env.variables, User: functionUser, Group: functionGroup,
		Volume: volume, Mount: volumePath,
	})
	if err != nil {
		return fmt.Errorf("running the %s phase: %w", phase.Phase, err)
	}
	if outcome.ExitCode != 0 {
		return &phaseError{phase: phase.Phase, command: phase.Command, outcome: outcome}
	}
	return nil
}

// serve starts the runtime phase of a deployment.
func (r *runner) serve(ctx context.Context, d *deployment, timeout string) (*server, error) {
	env := r.functionEnv()
	for _, v := range []Variable{
		{"FUNC_HANDLER", r.handler}, {"MOD_NAME", d.function.module}, {"FUNC_TIMEOUT", timeout},
		{"FUNC_RUNTIME", r.subject.Runtime + r.subject.Version}, {"FUNC_MEMORY_LIMIT", memoryLimit},
		{"FUNC_PORT", fmt.Sprint(functionPort)}, {"KUBELESS_INSTALL_VOLUME", volumePath},
	} {
		env.setLiteral(v.Name, v.Value)
	}
	env.setAll(r.subject.phase(manifest.RuntimePhase).Env)
	began := time.Now()
	container, err := r.engine.Start(ctx, Container{
		Image: r.images[manifest.RuntimePhase].ID, Env: env.variables, User: functionUser, Group: functionGroup,
		Volume: d.volume, Mount: volumePath, ReadOnly: true, Port: functionPort,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the runtime phase: %w", err)
	}
	r.keepServer(container)
	return newServer(container, began), nil
}

func (r *runner) functionEnv() *environment {
	env := &environment{}
	for _, v := range r.subject.Env {
		env.set(v.Name, v.Value)
	}
	return env
}

// log is the end of what a failed phase printed.
func (e *phaseError) log() []string {
	return lastLines(strings.TrimRight(e.outcome.Stdout, "\n")+"\n"+e.outcome.Stderr, logLines)
}
