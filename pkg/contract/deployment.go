package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// unlimited is FUNC_MEMORY_LIMIT of a function without a limit.
const unlimited = "0"

// containerLabel marks the containers and volumes of the suite, for people who
// find one that a killed run left.
const containerLabel = "dev.rtbuild.contract"

// A deployer runs the phases of a subject's functions.
type deployer struct {
	engine   containers.Engine
	subject  Subject
	settings settings
	images   containers.Images
}

// newDeployer finds the images of all phases.
func newDeployer(ctx context.Context, engine containers.Engine, subject Subject) (*deployer, error) {
	said, err := readSettings(subject.Functions)
	if err != nil {
		return nil, err
	}
	images, err := containers.FindImages(ctx, engine, subject.runtime())
	if err != nil {
		return nil, err
	}
	return &deployer{engine: engine, subject: subject, settings: said, images: images}, nil
}

// Deploy brings a function as far as the runtime phase: preparation,
// installation and compilation as the controller has them run. The function is
// the file with this base name in subject.Functions; withDeps installs the
// dependency file beside it. The error of a phase that fails has the end of
// what it printed.
func Deploy(ctx context.Context, engine containers.Engine, subject Subject, base string, withDeps bool) (*containers.Prepared, error) {
	made, err := deploy(ctx, engine, subject, base, withDeps)
	var failed *containers.PhaseError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w\n%s", err, strings.Join(failed.Log(logLines), "\n"))
	}
	if err != nil {
		return nil, fmt.Errorf("deploying %s of %s: %w", base, subject, err)
	}
	return made, nil
}

func deploy(ctx context.Context, engine containers.Engine, subject Subject, base string, withDeps bool) (*containers.Prepared, error) {
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

// deploy runs the phases before the runtime phase. A command that fails is a
// *containers.PhaseError.
func (d *deployer) deploy(ctx context.Context, f source) (*containers.Prepared, error) {
	return containers.Prepare(ctx, d.engine, d.images, &function.Function{
		Runtime: d.subject.runtime(), Handler: f.module + "." + d.settings.Handler,
		Source:       function.Source{Files: []function.File{{Name: f.file, Content: f.content}}},
		Dependencies: f.deps,
		// Nobody is to learn of the end.
		Env:     append(slices.Clone(d.subject.Env), function.Variable{Name: "SHUTDOWN_DELAY", Value: "0"}),
		Timeout: function.DefaultTimeout, Port: function.DefaultPort,
	}, map[string]string{containerLabel: ""})
}

// limited is the container of a deployment whose calls have so many seconds.
func limited(p *containers.Prepared, seconds int) containers.Container {
	f, copied := *p.Function, *p
	f.Timeout, copied.Function = seconds, &f
	return copied.Container()
}
