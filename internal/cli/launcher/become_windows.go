package launcher

import (
	"errors"
	"os"
	"os/exec"

	"github.com/rtbuild/rtbuild/internal/cli/process"
)

// become runs the program at path in place of this one and returns its exit code:
// Windows does not replace processes. Ctrl-C reaches both, and that one decides what
// comes of it.
func become(path string, args []string) (int, error) {
	_, stop := process.Interruptible()
	defer stop()
	cmd := exec.Cmd{Path: path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
