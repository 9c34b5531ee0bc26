package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/internal/edge/program"
)

// A command is one run of git.
type command struct {
	dir  string
	args []string
	// config are settings, "name=value" each.
	config []string
	env    []string
	stdin  []byte
}

// A failure is a run of git that ended with an error.
type failure struct {
	name string
	// code is the exit code.
	code int
	// stderr is what git said, in English.
	stderr string
}

func (f *failure) Error() string {
	if f.stderr == "" {
		return fmt.Sprintf("git %s: exit code %d", f.name, f.code)
	}
	return fmt.Sprintf("git %s: %s", f.name, strings.TrimPrefix(f.stderr, "fatal: "))
}

// run runs git and returns what it prints. Where git ran and failed, the error
// wraps a *failure.
func run(ctx context.Context, c command) ([]byte, error) {
	var args []string
	for _, setting := range c.config {
		args = append(args, "-c", setting)
	}
	cmd := exec.CommandContext(ctx, "git", append(args, c.args...)...)
	cmd.Dir = c.dir
	cmd.Env = append(environment(), c.env...)
	stdout, stderr, err := program.Output(ctx, cmd, c.stdin)
	if err == nil {
		return stdout, nil
	}
	if ctx.Err() != nil {
		return nil, err
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: the git program is not installed", ErrNoRepository)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil, fmt.Errorf("running git: %w", err)
	}
	f := &failure{name: c.args[0], code: exit.ExitCode(), stderr: stderr}
	if f.code < 0 {
		return nil, fmt.Errorf("running git %s: %w", f.name, err)
	}
	return nil, f.explained()
}

// explained adds what the failure means, where that is known.
func (f *failure) explained() error {
	switch {
	case strings.Contains(f.stderr, "not a git repository"):
		return fmt.Errorf("%w: %w", ErrNoRepository, f)
	case strings.Contains(f.stderr, "dubious ownership"), strings.Contains(f.stderr, "unsafe repository"):
		advice := "git config --global --add safe.directory FOLDER"
		for line := range strings.Lines(f.stderr) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "git config ") {
				advice = line
			}
		}
		first, _, _ := strings.Cut(f.stderr, "\n")
		return fmt.Errorf("git does not trust this repository, because another user owns it: run as that user, or: %s (%w)", advice, &failure{name: f.name, code: f.code, stderr: first})
	}
	return f
}

// redirecting are variables that lead git to another repository, or to other
// contents of this one. Hooks, in which git sets them, run builds too. Those
// that set configuration stay: they are how CI trusts a repository.
func redirecting() []string {
	return []string{
		"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX",
		"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH",
		"GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE", "GIT_ATTR_SOURCE",
		"GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
		"LC_ALL",
	}
}

// environment is that of git: paths mean themselves, messages are in English,
// and git writes nothing that it need not.
func environment() []string {
	drop := redirecting()
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(drop, name)
	})
	return append(env, "GIT_LITERAL_PATHSPECS=1", "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
}
