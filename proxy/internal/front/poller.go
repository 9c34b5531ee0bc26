package front

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Events of epoll(7), reported on each change. O_RDHUP is the end of what the
// other side sends.
const (
	epollET        = 1 << 31
	epollExclusive = 1 << 28

	connEvents  = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | epollET
	leftEvents  = syscall.EPOLLRDHUP | resetEvents
	resetEvents = syscall.EPOLLHUP | syscall.EPOLLERR
)

// poller waits for file descriptors.
type poller struct {
	epoll  int
	wakeFD int // an eventfd; writing to it ends a wait
	events [128]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("preparing to wait for connections: %w", err)
	}
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		syscall.Close(epoll)
		return nil, fmt.Errorf("preparing to wait for connections: %w", errno)
	}
	p := &poller{epoll: epoll, wakeFD: int(fd)}
	// Reported on each write: it needs no reading.
	if err := p.add(p.wakeFD, syscall.EPOLLIN|epollET); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	syscall.Close(p.epoll)
	syscall.Close(p.wakeFD)
}

func (p *poller) add(fd int, events uint32) error {
	err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("waiting for a connection: %w", err)
	}
	return nil
}

// remove forgets a file descriptor that is not about to be closed.
func (p *poller) remove(fd int) {
	_ = syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, fd, nil) // it was added
}

// now returns the events that are there.
func (p *poller) now() []syscall.EpollEvent {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	if errno != 0 {
		return nil
	}
	return p.events[:n]
}

// wait waits for events, at most for the given time if that is not negative.
func (p *poller) wait(limit time.Duration) ([]syscall.EpollEvent, error) {
	ms := -1
	if limit >= 0 {
		ms = int((limit + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := syscall.EpollWait(p.epoll, p.events[:], ms)
	if errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("epoll_wait", err)
	}
	return p.events[:n], nil
}

// wake ends a wait, from any goroutine.
func (p *poller) wake() {
	one := [8]byte{1}
	_, _ = write(p.wakeFD, one[:]) // if it is full, the wait ends as well
}

func read(fd int, b []byte) (int, error)  { return transfer(syscall.SYS_READ, fd, b) }
func write(fd int, b []byte) (int, error) { return transfer(syscall.SYS_WRITE, fd, b) }

// transfer is a system call that does not block, so that Go's scheduler need not
// know of it.
func transfer(call uintptr, fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
