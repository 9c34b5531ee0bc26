//go:build !unix

package pin

import (
	"io/fs"
	"os"
)

// copyOwner does nothing: owners are a matter of Unix.
func copyOwner(*os.File, fs.FileInfo) error { return nil }

// isInvalid always reports true: folders cannot be flushed here.
func isInvalid(err error) bool { return err != nil }
