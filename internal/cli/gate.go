package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// gates are those that a run's options ask for. An image must pass them all.
func (s *session) gates(destination string, o runOptions) []release.Gate {
	var gates []release.Gate
	if o.verify {
		gates = append(gates, &release.ContractGate{Project: s.project, Destination: destination, Reach: s.reachGateEngine, Suite: s.gateSuite})
	}
	if o.verifyCommand != "" {
		gates = append(gates, &commandGate{command: o.verifyCommand, folder: s.app.Root, jobs: s.Jobs, output: s.app.Streams.Err})
	}
	return gates
}

// reachGateEngine is an error if no engine runs the images of a release.
func (s *session) reachGateEngine(ctx context.Context) error {
	containers, err := s.openGateEngine(ctx)
	if err != nil {
		return err
	}
	return containers.Close()
}

// gateSuite verifies images of a release, and prints what came of it where people
// look: stdout is the release's.
func (s *session) gateSuite(ctx context.Context, subjects []contract.Subject) (*contract.Document, error) {
	containers, err := s.openGateEngine(ctx)
	if err != nil {
		return nil, err
	}
	document, err := s.runSuite(ctx, containers, subjects, nil)
	if err != nil {
		return nil, err
	}
	if err := s.app.printVerifyLogs(document.Subjects); err != nil || s.app.Flags.Quiet {
		return document, err
	}
	return document, verifyTables(s.app.Streams.Err, document, s.app.Flags.Verbose)
}

// openGateEngine connects to the engine that runs the images of a release: the
// one that built them if it runs containers, else the Docker engine that the
// environment names.
func (s *session) openGateEngine(ctx context.Context) (*docker.Engine, error) {
	builder := s.Builder
	if !strings.HasPrefix(builder, "docker://") {
		builder = "auto"
	}
	containers, err := s.openContainers(ctx, builder)
	if err != nil {
		return nil, fmt.Errorf("--verify runs the images: %w", err)
	}
	return containers, nil
}

// A commandGate runs a shell command for each image, which passes if the
// command exits with 0. Its output is shown.
type commandGate struct {
	command string
	folder  string // that it runs in
	jobs    int    // how many run at once

	mu     sync.Mutex
	output io.Writer
}

var _ release.Gate = (*commandGate)(nil)

// gateGrace is how long the output of a command that was interrupted is waited
// for: what it started may hold it open.
const gateGrace = 5 * time.Second

// Ready implements release.Gate: a shell is always there.
func (g *commandGate) Ready(context.Context) error { return nil }

// Admit implements release.Gate.
func (g *commandGate) Admit(ctx context.Context, admission release.Admission) []error {
	candidates := admission.Candidates
	errs := make([]error, len(candidates))
	parallel.Each(len(candidates), g.jobs, func(i int) { errs[i] = g.admit(ctx, candidates[i]) })
	return errs
}

func (g *commandGate) admit(ctx context.Context, c release.Candidate) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", g.command)
	cmd.Dir = g.folder
	cmd.Env = append(os.Environ(), "RTBUILD_IMAGE="+c.Ref, "RTBUILD_DIGEST="+c.Digest,
		"RTBUILD_TARGET="+c.Target.Name, "RTBUILD_KIND="+string(c.Target.Kind))
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = gateGrace
	err := cmd.Run()
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, printErr := io.WriteString(g.output, output.String()); printErr != nil && err == nil {
		err = printErr
	}
	return err
}
