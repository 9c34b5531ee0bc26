package main

import "io"

// heldAtMost is how much of a program's stderr may wait for its end.
const heldAtMost = 64 << 10

// held is a program's stderr. It is held back, since the proxy logs it if the
// program fails; from a program that writes much, it passes as it comes.
type held struct {
	to     io.Writer
	buf    []byte
	passes bool
}

// Write holds p back, or passes all on.
func (h *held) Write(p []byte) (int, error) {
	if !h.passes && len(h.buf)+len(p) <= heldAtMost {
		h.buf = append(h.buf, p...)
		return len(p), nil
	}
	h.release()
	return h.to.Write(p)
}

// release passes on what is held back, and from now on everything.
func (h *held) release() {
	_, _ = h.to.Write(h.buf) // a log has nowhere to report to
	h.buf, h.passes = nil, true
}

// text is what is held back, in whole lines.
func (h *held) text() string {
	if n := len(h.buf); n > 0 && h.buf[n-1] != '\n' {
		h.buf = append(h.buf, '\n')
	}
	return string(h.buf)
}
