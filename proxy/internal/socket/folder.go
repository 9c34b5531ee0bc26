package socket

import (
	"errors"
	"fmt"
	"os"
)

// Folder returns the first of some folders in which a socket can be made.
func Folder(candidates []string) (string, error) {
	var all error
	for _, dir := range candidates {
		probe, err := os.MkdirTemp(dir, "func-")
		if err == nil {
			err = os.Remove(probe)
		}
		if err == nil {
			return dir, nil
		}
		all = errors.Join(all, err)
	}
	return "", fmt.Errorf("no folder for the workers' sockets: mount a volume that can be written, such as an emptyDir on /tmp, "+
		"or name one in FUNC_SOCKET_DIR: %w", all)
}
