//go:build unix

package launcher

import (
	"os"
	"syscall"
)

// become replaces this process by the program at path. It returns only if it fails.
func become(path string, args []string) (int, error) {
	return 0, os.NewSyscallError("exec "+path, syscall.Exec(path, args, os.Environ()))
}
