package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/opencontainers/go-digest"
)

// Progress says how builds report while they run.
type Progress struct {
	// Out is where to; nil for nowhere. To redraw a terminal it must be an
	// *os.File.
	Out io.Writer
	// Mode is the form; the zero value is ProgressAuto.
	Mode ProgressMode
}

// A ProgressMode is a form of progress reports.
type ProgressMode string

const (
	// ProgressAuto redraws a terminal, and writes plain lines elsewhere.
	ProgressAuto ProgressMode = "auto"
	// ProgressPlain writes plain lines.
	ProgressPlain ProgressMode = "plain"
	// ProgressTTY redraws a terminal; without one Open fails.
	ProgressTTY ProgressMode = "tty"
	// ProgressQuiet writes nothing.
	ProgressQuiet ProgressMode = "quiet"
)

// A display shows all builds of a Builder, which run at the same time, as if
// they were one: BuildKit's own display can show but one.
type display struct {
	ui progressui.Display

	mu      sync.Mutex
	builds  int
	updates chan *client.SolveStatus // nil until there is something to show
	ended   chan struct{}            // closed when the display has drawn its last
	closed  bool
}

func newDisplay(p Progress) (*display, error) {
	mode := progressui.DisplayMode(p.Mode)
	switch p.Mode {
	case "":
		mode = progressui.AutoMode
	case ProgressAuto, ProgressPlain, ProgressTTY, ProgressQuiet:
	default:
		return nil, fmt.Errorf("progress %q is unknown: choose auto, plain, tty or quiet", p.Mode)
	}
	if p.Out == nil {
		mode = progressui.QuietMode
	}
	out := p.Out
	if mode == progressui.PlainMode {
		out = &untilErrors{out: out}
	}
	ui, err := progressui.NewDisplay(out, mode)
	if err != nil {
		return nil, fmt.Errorf("showing progress: %w", err)
	}
	return &display{ui: ui, ended: make(chan struct{})}, nil
}

// errorRule is what BuildKit's display writes before it repeats, at the end, what
// failed steps printed. Lines of steps have a number in front of them.
const errorRule = "------\n"

// untilErrors leaves that out: plain lines have it already.
type untilErrors struct {
	out   io.Writer
	ended bool
}

func (w *untilErrors) Write(p []byte) (int, error) {
	w.ended = w.ended || string(p) == errorRule
	if w.ended {
		return len(p), nil
	}
	return w.out.Write(p)
}

// attach adds a build to the display. What it is given after close is not
// shown.
func (d *display) attach(name string) func(*client.SolveStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.builds++
	build := strconv.Itoa(d.builds)
	return func(s *client.SolveStatus) { d.show(relabel(name, build, s)) }
}

func (d *display) show(s *client.SolveStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if d.updates == nil {
		d.updates = make(chan *client.SolveStatus)
		go func(updates chan *client.SolveStatus) {
			defer close(d.ended)
			// It ends when updates is closed. Its warnings were shown already,
			// and its error is that of a context, which this one never has.
			_, _ = d.ui.UpdateFrom(context.Background(), updates)
		}(d.updates)
	}
	d.updates <- s
}

// close draws the display a last time.
func (d *display) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	if d.updates != nil {
		close(d.updates)
		<-d.ended
	}
}

// relabel returns a copy of s for a display that shows many builds: vertices
// get the build's name in front of theirs, and a digest of their own, because
// equal steps of two builds have equal digests.
func relabel(name, build string, s *client.SolveStatus) *client.SolveStatus {
	own := func(d digest.Digest) digest.Digest {
		if d == "" {
			return ""
		}
		return digest.FromString(build + " " + d.String())
	}
	out := &client.SolveStatus{}
	for _, v := range s.Vertexes {
		c := *v
		c.Digest = own(v.Digest)
		c.Name = "[" + name + "] " + v.Name
		c.Inputs = slices.Clone(v.Inputs)
		for i := range c.Inputs {
			c.Inputs[i] = own(c.Inputs[i])
		}
		if g := v.ProgressGroup; g != nil {
			c.ProgressGroup = &pb.ProgressGroup{Id: build + " " + g.Id, Name: "[" + name + "] " + g.Name, Weak: g.Weak}
		}
		out.Vertexes = append(out.Vertexes, &c)
	}
	for _, st := range s.Statuses {
		c := *st
		c.Vertex = own(st.Vertex)
		out.Statuses = append(out.Statuses, &c)
	}
	for _, l := range s.Logs {
		c := *l
		c.Vertex = own(l.Vertex)
		out.Logs = append(out.Logs, &c)
	}
	for _, w := range s.Warnings {
		c := *w
		c.Vertex = own(w.Vertex)
		out.Warnings = append(out.Warnings, &c)
	}
	return out
}
