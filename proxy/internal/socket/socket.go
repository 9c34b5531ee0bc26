// Package socket moves connections between Go's poller and other owners of file
// descriptors.
package socket

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// Duplicate returns another file descriptor of a socket of Go's poller.
func Duplicate(raw syscall.RawConn) (fd int, err error) {
	var errno syscall.Errno
	err = raw.Control(func(old uintptr) {
		var n uintptr
		n, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(n)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return 0, fmt.Errorf("duplicating a socket: %w", err)
	}
	return fd, nil
}

// Adopt gives a file descriptor, which it takes, to Go's poller.
func Adopt(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("taking over a socket: %w", err)
	}
	return c, nil
}

// Quiet says whether a socket is open, with nothing to read.
func Quiet(fd int) bool {
	var b [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return errno == syscall.EAGAIN
}
