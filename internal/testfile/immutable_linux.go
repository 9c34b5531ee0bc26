package testfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

// immutable sets the attribute by which root, too, may not write the file, and
// returns what takes it away.
func immutable(path string) (undo func() error, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags|immutableFlag)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		err := unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags)
		return errors.Join(err, file.Close())
	}, nil
}
