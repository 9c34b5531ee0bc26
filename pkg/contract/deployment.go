package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A Deployment is a function in a volume, installed and compiled.
type Deployment struct {
	deployer *deployer
	module   string
	volume   string
	took     time.Duration
}

// Deploy brings a function as far as the runtime phase: preparation,
// installation and compilation as the controller has them run. The function is
// the file with this base name in subject.Functions; withDeps installs the
// dependency file beside it. The error of a phase that fails has the end of
// what it printed.
func Deploy(ctx context.Context, engine Engine, subject Subject, base string, withDeps bool) (*Deployment, error) {
	made, err := deploy(ctx, engine, subject, base, withDeps)
	var failed *phaseError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w\n%s", err, strings.Join(failed.log(), "\n"))
	}
	if err != nil {
		return nil, fmt.Errorf("deploying %s of %s: %w", base, subject, err)
	}
	return made, nil
}

func deploy(ctx context.Context, engine Engine, subject Subject, base string, withDeps bool) (*Deployment, error) {
	f, err := subject.load(subject.Functions, base, withDeps)
	if err != nil {
		return nil, err
	}
	d, err := newDeployer(ctx, engine, subject)
	if err != nil {
		return nil, err
	}
	return d.deploy(ctx, f)
}

// Container is what runs in the runtime phase, with the default time limit:
// Engine.Start starts it.
func (d *Deployment) Container() Container { return d.container(defaultTimeout) }

func (d *Deployment) container(timeout string) Container {
	subject := d.deployer.subject
	env := d.deployer.functionEnv()
	for _, v := range []Variable{
		{"FUNC_HANDLER", d.deployer.settings.Handler}, {"MOD_NAME", d.module}, {"FUNC_TIMEOUT", timeout},
		{"FUNC_RUNTIME", subject.Runtime + subject.Version}, {"FUNC_MEMORY_LIMIT", memoryLimit},
		{"FUNC_PORT", fmt.Sprint(functionPort)}, {"KUBELESS_INSTALL_VOLUME", volumePath},
		{"SHUTDOWN_DELAY", "0"}, // nobody is to learn of the end
	} {
		env.setLiteral(v.Name, v.Value)
	}
	env.setAll(subject.phase(manifest.RuntimePhase).Env)
	return Container{
		Image: d.deployer.images[manifest.RuntimePhase].ID, Env: env.variables, User: functionUser, Group: functionGroup,
		Volume: d.volume, Mount: volumePath, ReadOnly: true, Port: functionPort,
	}
}

// Remove removes the volume, also when ctx has ended. Its containers must be
// gone.
func (d *Deployment) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	return d.deployer.engine.RemoveVolume(ctx, d.volume)
}
