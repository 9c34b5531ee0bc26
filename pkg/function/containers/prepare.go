package containers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// logLines is how many lines of a log a failure shows, cleanupLimit bounds the
// removal of what a run made.
const (
	logLines     = 40
	cleanupLimit = time.Minute
)

// A PhaseError is a phase whose command failed.
type PhaseError struct {
	Phase manifest.Phase
	// Command is the manifest's.
	Command string
	Outcome Outcome
}

func (e *PhaseError) Error() string {
	return fmt.Sprintf("the %s phase ended with exit code %d: %q", e.Phase, e.Outcome.ExitCode, function.Shorten(e.Command, 200))
}

// Log is the end of what the command printed, at most so many lines of each of
// its streams.
func (e *PhaseError) Log(lines int) []string {
	return function.LastLines(strings.TrimRight(e.Outcome.Stdout, "\n")+"\n"+e.Outcome.Stderr, lines)
}

// Images are an engine's for the phases of a runtime.
type Images map[manifest.Phase]Image

// FindImages finds the images of all phases of a runtime.
func FindImages(ctx context.Context, engine Engine, runtime function.Runtime) (Images, error) {
	if runtime.Phase(manifest.RuntimePhase) == nil {
		return nil, errors.New("it has no image for the runtime phase")
	}
	images := Images{}
	for _, phase := range runtime.Phases {
		image, err := engine.Image(ctx, phase.References...)
		if err != nil {
			return nil, fmt.Errorf("the image of the %s phase: %w", phase.Phase, err)
		}
		images[phase.Phase] = image
	}
	return images, nil
}

// A Prepared is a function in a volume, installed and compiled.
type Prepared struct {
	Function *function.Function
	// Volume is its name; empty where the function is in its image.
	Volume string
	// Took is the time of all phases.
	Took time.Duration

	engine Engine
	images Images
	labels map[string]string
}

// Prepare runs the phases before the runtime phase as the controller has them
// run. Labels are kept with all that is made. A command that fails is a
// *PhaseError; after an error nothing is left.
func Prepare(ctx context.Context, engine Engine, images Images, f *function.Function, labels map[string]string) (_ *Prepared, err error) {
	began := time.Now()
	volume, err := engine.CreateVolume(ctx, Volume{Image: images[manifest.RuntimePhase].ID, Group: function.Group, Files: f.Volume(), Labels: labels})
	if err != nil {
		return nil, fmt.Errorf("preparing the function's volume: %w", err)
	}
	made := &Prepared{Function: f, Volume: volume, engine: engine, images: images, labels: labels}
	defer func() {
		if err != nil {
			err = errors.Join(err, made.Remove(ctx))
		}
	}()
	for _, step := range f.Steps() {
		if err := made.run(ctx, step); err != nil {
			return nil, err
		}
	}
	made.Took = time.Since(began)
	return made, nil
}

func (p *Prepared) run(ctx context.Context, step function.Step) error {
	outcome, err := p.engine.Run(ctx, p.container(step))
	if err != nil {
		return fmt.Errorf("running the %s phase: %w", step.Phase, err)
	}
	if outcome.ExitCode != 0 {
		return &PhaseError{Phase: step.Phase, Command: step.Manifest, Outcome: outcome}
	}
	return nil
}

// container is that of a step.
func (p *Prepared) container(step function.Step) Container {
	return Container{
		Image: p.images[step.Phase].ID, Command: step.Command, WorkingDir: step.WorkingDir, Env: step.Env,
		User: function.User, Group: function.Group, Volume: p.Volume, Mount: function.VolumePath, Labels: p.labels,
	}
}

// Container is what runs in the runtime phase: Engine.Start starts it.
func (p *Prepared) Container() Container {
	c := p.container(p.Function.Server())
	c.ReadOnly, c.Port = true, p.Function.Port
	return c
}

// Remove removes the volume, also when ctx has ended. Its containers must be
// gone.
func (p *Prepared) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	return p.engine.RemoveVolume(ctx, p.Volume)
}
