//go:build !unix

package local

import (
	"fmt"
	"os"
	"runtime"
)

// lockExclusive fails: the local registry is for systems that can lock files
// the Unix way.
func lockExclusive(file *os.File) (bool, error) {
	return false, fmt.Errorf("locking %s: the local registry does not run on %s; use an external one", file.Name(), runtime.GOOS)
}
