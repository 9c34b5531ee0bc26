package contract

import (
	"context"
	"crypto/sha256"
	"errors"
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

// A deployer runs the phases of a subject's functions.
type deployer struct {
	engine   Engine
	subject  Subject
	settings settings
	images   map[manifest.Phase]Image
}

// newDeployer finds the images of all phases.
func newDeployer(ctx context.Context, engine Engine, subject Subject) (*deployer, error) {
	said, err := readSettings(subject.Functions)
	if err != nil {
		return nil, err
	}
	if subject.phase(manifest.RuntimePhase) == nil {
		return nil, errors.New("it has no image for the runtime phase")
	}
	d := &deployer{engine: engine, subject: subject, settings: said, images: map[manifest.Phase]Image{}}
	for _, phase := range subject.Phases {
		if d.images[phase.Phase], err = engine.Image(ctx, phase.References...); err != nil {
			return nil, fmt.Errorf("the image of the %s phase: %w", phase.Phase, err)
		}
	}
	return d, nil
}

// deploy runs the phases before the runtime phase as the controller has them
// run. A command that fails is a *phaseError.
func (d *deployer) deploy(ctx context.Context, f function) (_ *Deployment, err error) {
	began := time.Now()
	files := []VolumeFile{{Name: f.file, Content: f.content}}
	if d.subject.DepName != "" {
		// The controller writes the file without dependencies, too.
		files = append(files, VolumeFile{Name: d.subject.DepName, Content: f.deps})
	}
	volume, err := d.engine.CreateVolume(ctx, d.images[manifest.RuntimePhase].ID, functionGroup, files)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", f.file, err)
	}
	made := &Deployment{deployer: d, module: f.module, volume: volume}
	defer func() {
		if err != nil {
			err = errors.Join(err, made.Remove(ctx))
		}
	}()
	if len(f.deps) > 0 {
		if err := d.install(ctx, volume, f); err != nil {
			return nil, err
		}
	}
	if err := d.compile(ctx, volume); err != nil {
		return nil, err
	}
	made.took = time.Since(began)
	return made, nil
}

// install runs the installation phase: the checksum of the dependency file,
// then the manifest's command.
func (d *deployer) install(ctx context.Context, volume string, f function) error {
	phase := d.subject.phase(manifest.Installation)
	if phase == nil {
		return nil
	}
	depsFile := volumePath + "/" + d.subject.DepName
	env := d.functionEnv()
	env.setLiteral("KUBELESS_INSTALL_VOLUME", volumePath)
	env.setLiteral("KUBELESS_DEPS_FILE", depsFile)
	env.setAll(phase.Env)
	script := fmt.Sprintf("echo '%x  %s' > /tmp/deps.sha256 && sha256sum -c /tmp/deps.sha256 && %s",
		sha256.Sum256(f.deps), depsFile, phase.Command)
	return d.runPhase(ctx, phase, volume, script, env)
}

// compile runs the compilation phase, if there is one. MOD_NAME is not known
// in it.
func (d *deployer) compile(ctx context.Context, volume string) error {
	phase := d.subject.phase(manifest.Compilation)
	if phase == nil {
		return nil
	}
	env := d.functionEnv()
	env.setLiteral("KUBELESS_INSTALL_VOLUME", volumePath)
	env.setLiteral("KUBELESS_FUNC_NAME", d.settings.Handler)
	env.setAll(phase.Env)
	return d.runPhase(ctx, phase, volume, phase.Command, env)
}

func (d *deployer) runPhase(ctx context.Context, phase *Phase, volume, script string, env *environment) error {
	outcome, err := d.engine.Run(ctx, Container{
		Image: d.images[phase.Phase].ID, Command: []string{"sh", "-c", expand(script, env.lookUp)},
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

func (d *deployer) functionEnv() *environment {
	env := &environment{}
	for _, v := range d.subject.Env {
		env.set(v.Name, v.Value)
	}
	return env
}

// log is the end of what a failed phase printed.
func (e *phaseError) log() []string {
	return lastLines(strings.TrimRight(e.outcome.Stdout, "\n")+"\n"+e.outcome.Stderr, logLines)
}
