package front

import (
	"errors"
	"syscall"

	"github.com/rtbuild/rtbuild/proxy/internal/socket"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// link is a connection to a worker for which a loop waits. Between two calls
// the pool keeps it, and events are ignored.
type link struct {
	loop *loop
	fd   int
	call *client // that the answer is for
	in   []byte  // the start of an answer
}

// ready implements conn: it reads the answer.
func (k *link) ready(events uint32) {
	c := k.call
	if c == nil {
		return
	}
	buf := k.loop.read
	n, err := read(k.fd, buf)
	if errors.Is(err, syscall.EAGAIN) {
		return
	}
	if n == 0 || err != nil {
		c.handOverCall(nil) // who reads on finds the end again
		return
	}
	data := buf[:n]
	if len(k.in) > 0 {
		k.in = append(k.in, data...)
		data = k.in
	}
	v := k.loop.response.parse(data, &k.loop.front.opt)
	if v == fastPath {
		c.answer(data)
		return
	}
	if len(k.in) == 0 {
		k.in = append(k.in, data...)
	}
	// The end of what a worker sends is told of once, with the last bytes; who
	// reads on finds it.
	if v == slowPath || n == len(buf) || events&leftEvents != 0 {
		c.handOverCall(nil)
	}
}

// Alive implements pool.Kept.
func (k *link) Alive() bool { return socket.Quiet(k.fd) }

// Conn implements pool.Kept.
func (k *link) Conn() (*upstream.Conn, error) { return upstream.Adopt(k.detach(), nil) }

// detach ends the loop's waiting and returns the file descriptor.
func (k *link) detach() int {
	k.loop.poll.remove(k.fd)
	return k.fd
}

// Close implements pool.Kept.
func (k *link) Close() { syscall.Close(k.fd) }
