package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/engine"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// progressLines is the form of progress that is a line for each image, and not
// the engine's.
const progressLines = "lines"

// progressForm is what --progress comes to: a form of the engine's, or
// progressLines. By default it is the engine's where it can redraw a terminal,
// else lines: what steps print is worth reading where one failed, and is in the
// error then.
func (a *app) progressForm(asked string) (string, error) {
	file, isFile := a.Streams.Err.(*os.File)
	terminal := isFile && term.IsTerminal(int(file.Fd()))
	switch {
	case !slices.Contains([]string{"auto", "tty", "plain", progressLines}, asked):
		return "", invocation.Usagef("--progress %s: want auto, tty, plain or lines", asked)
	case asked == "tty" && !terminal:
		return "", invocation.Usagef("--progress tty: stderr is no terminal; want auto, plain or lines")
	case a.Flags.Quiet:
		return string(engine.ProgressQuiet), nil
	case asked != "auto":
		return asked, nil
	case terminal:
		return string(engine.ProgressTTY), nil
	case a.Flags.Verbose:
		return string(engine.ProgressPlain), nil
	}
	return progressLines, nil
}

// showsLogs tells whether a form of progress shows what a failed step printed.
func showsLogs(form string) bool {
	return form == string(engine.ProgressTTY) || form == string(engine.ProgressPlain)
}

// stillInterval is how long nothing is said before what still runs is named.
const stillInterval = 30 * time.Second

// A lineWatcher writes a line when a build starts and when it ends, and now and
// then which ones still run.
type lineWatcher struct {
	out   io.Writer
	start time.Time

	mu           sync.Mutex
	total, ended int
	started      int
	running      []string
	said         time.Time
}

var _ build.Watcher = (*lineWatcher)(nil)

func newLineWatcher(out io.Writer) *lineWatcher {
	return &lineWatcher{out: out, start: time.Now()}
}

// Begin implements build.Watcher.
func (w *lineWatcher) Begin(builds int) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total = builds; builds == 0 {
		return func() {}
	}
	w.say("images to build: %d", builds)
	ticker, done := time.NewTicker(stillInterval/4), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				w.still()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
	}
}

// Started implements build.Watcher.
func (w *lineWatcher) Started(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started++
	w.running = append(w.running, name)
	w.say("building %s (%d of %d)", name, w.started, w.total)
}

// Ended implements build.Watcher.
func (w *lineWatcher) Ended(out build.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	w.running = slices.DeleteFunc(w.running, func(name string) bool { return name == out.Name })
	digest := ""
	if out.Digest != "" {
		digest = ", " + shortDigest(out.Digest)
	}
	w.say("%s %s in %s%s; %d of %d done", out.Status, out.Name, out.Duration.Round(time.Second), digest, w.ended, w.total)
}

// still names what runs, if nothing was said for a while.
func (w *lineWatcher) still() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.running) > 0 && time.Since(w.said) >= stillInterval {
		w.say("still building %s", strings.Join(w.running, ", "))
	}
}

// say writes a line that begins with the time since the start, minutes:seconds.
func (w *lineWatcher) say(format string, args ...any) {
	w.said = time.Now()
	elapsed := int(time.Since(w.start).Seconds())
	fmt.Fprintf(w.out, "%2d:%02d %s\n", elapsed/60, elapsed%60, fmt.Sprintf(format, args...))
}
