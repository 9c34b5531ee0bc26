//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// network makes a network namespace of its own, where nothing is but a loopback
// interface on which address, one of the machine's loopback, can be reached. It
// returns the namespace's path. A Docker engine does things to its network as it
// starts: without a bridge of its own, it removes the one of the machine's.
func network(t *testing.T, address string) string {
	t.Helper()
	type made struct {
		path     string
		listener net.Listener
		err      error
	}
	answers, ended := make(chan made), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, and the namespace with it
		listener, err := listenApart(address)
		answers <- made{fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()), listener, err}
		<-ended
	}()
	t.Cleanup(func() { close(ended) })
	network := <-answers
	if network.err != nil {
		t.Fatalf("making a network namespace: %v", network.err)
	}
	t.Cleanup(func() { network.listener.Close() })
	go func() {
		for {
			conn, err := network.listener.Accept()
			if err != nil {
				return // closed
			}
			go relay(conn, address)
		}
	}()
	return network.path
}

// listenApart moves the thread to a new network namespace and listens there.
func listenApart(address string) (net.Listener, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return nil, err
	}
	loopback.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		return nil, err
	}
	return net.Listen("tcp", address)
}

// relay connects a connection with the address as this process sees it.
func relay(conn net.Conn, address string) {
	defer conn.Close()
	there, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer there.Close()
	go func() {
		_, _ = io.Copy(there, conn) // either end may go away
		there.Close()
	}()
	_, _ = io.Copy(conn, there)
}
