package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/util/progress/progresswriter"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// A pushCause is what a failed push failed of, as far as what to do next
// depends on it.
type pushCause int

const (
	// causeOther will be the same next time.
	causeOther pushCause = iota
	// causeTransient may be gone the next time: the registry is overloaded or
	// restarts, or the connection broke.
	causeTransient
	// causeDenied is a missing login, or one that may not push there.
	causeDenied
)

// A pushError is a push that a registry refused, or that did not reach it.
type pushError struct {
	// ref is the reference that was pushed.
	ref   string
	cause pushCause
	// engineRetried tells that the engine tried again by itself before it gave
	// up.
	engineRetried bool
	// text is what the engine says of it.
	text string
	err  error
}

func newPushError(ref, text string, err error, engineRetried bool) *pushError {
	return &pushError{ref: ref, cause: causeOf(text), engineRetried: engineRetried, text: strings.TrimSpace(text), err: err}
}

func (e *pushError) Error() string {
	host := e.host()
	text := fmt.Sprintf("pushing %s to the registry %s: %s", e.ref, host, e.text)
	switch e.cause {
	case causeDenied:
		return text + "; log in as a user who may push there: docker login " + host
	case causeTransient:
		return text + "; the registry or the network may recover: try again later"
	}
	return text
}

func (e *pushError) Unwrap() error { return e.err }

// host is the registry's, or the reference where that is none.
func (e *pushError) host() string {
	n, err := docker.Named(e.ref)
	if err != nil {
		return e.ref
	}
	return reference.Domain(n)
}

// Engines report a push's failure as text. These are the forms of an HTTP
// status in it: containerd's, in BuildKit ("unexpected status from PUT request
// to URL: 503 Service Unavailable"), and those of Docker's engine ("received
// unexpected HTTP status: 503 Service Unavailable", "error parsing HTTP 429
// response body").
var statusInText = regexp.MustCompile(`unexpected (?:HTTP )?status[^\n]*?: (\d{3})\b|\bHTTP (\d{3}) response`)

// deniedText matches refusals that come without a status: the codes of the
// distribution specification with the engines' words for them.
var deniedText = regexp.MustCompile(`(?i)\bunauthorized\b|authentication required|access denied|access to the resource is denied|\bdenied:|no basic auth credentials|insufficient_scope|incorrect username or password`)

// transientText matches broken connections and time-outs, and the
// specification's code for too many requests. A refused connection is not
// among them: at the start of a push it is a wrong address far more often than
// a registry that is about to start.
var transientText = regexp.MustCompile(`(?i)\btoo ?many ?requests\b|connection reset by peer|broken pipe|\btimeout\b|timed out|deadline exceeded|\bEOF\b|closed network connection|server closed idle connection`)

// causeOf reads an engine's message. A status decides where there is one.
func causeOf(message string) pushCause {
	if m := statusInText.FindStringSubmatch(message); m != nil {
		status, err := strconv.Atoi(m[1] + m[2]) // one of them is empty
		switch {
		case err != nil:
		case status == 401 || status == 403:
			return causeDenied
		case status == 408 || status == 429 || status >= 500:
			return causeTransient
		case deniedText.MatchString(message):
			return causeDenied
		default:
			return causeOther
		}
	}
	switch {
	case deniedText.MatchString(message):
		return causeDenied
	case transientText.MatchString(message):
		return causeTransient
	}
	return causeOther
}

// exporterPushFailure matches how BuildKit's image exporter says that a push
// failed, with the reference.
var exporterPushFailure = regexp.MustCompile(`failed to push (\S+): `)

// exporterPushError makes err a *pushError where BuildKit's exporter failed to
// push, and leaves it alone otherwise.
func exporterPushError(req build.Request, steps *stepRecord, err error) error {
	if !req.Push {
		return err
	}
	text := err.Error()
	m := exporterPushFailure.FindStringSubmatchIndex(text)
	if m == nil {
		return err
	}
	return newPushError(text[m[2]:m[3]], text[m[1]:], err, steps.retriedExport())
}

// A pushRetry says how often a failed push is tried again, and how long to
// wait before.
type pushRetry struct {
	// attempts is the most times that a push is tried.
	attempts int
	// first is the first wait; each one after it is twice as long. Each is
	// varied by up to half, so that builds that failed together do not come
	// back together.
	first time.Duration
}

// Engines try again by themselves, BuildKit 4 times and Docker's 5 times for
// each layer, over 7 and 50 seconds, but neither for everything: BuildKit
// repeats 408 and 429 without waiting, Docker's engine never repeats a
// manifest. So that the attempts do not multiply, one in which the engine said
// that it tried again counts as many times as it tries.
const engineAttempts = 4

func defaultPushRetry() pushRetry { return pushRetry{attempts: 5, first: time.Second} }

// do calls push until it succeeds, fails for a reason that is not
// transient, has used up the attempts, or ctx ends. Log gets the waits as
// progress.
func (r pushRetry) do(ctx context.Context, log progresswriter.Logger, push func() error) error {
	used := 0
	for wait := r.first; ; wait *= 2 {
		err := push()
		var failure *pushError
		if !errors.As(err, &failure) || failure.cause != causeTransient {
			return err
		}
		used++
		if failure.engineRetried {
			used += engineAttempts - 1
		}
		if used >= r.attempts || ctx.Err() != nil {
			return err
		}
		if ended := pause(ctx, log, failure, vary(wait)); ended != nil {
			return errors.Join(ended, err)
		}
	}
}

// pause waits before the next attempt. It returns ctx's error if that ends.
func pause(ctx context.Context, log progresswriter.Logger, failure *pushError, wait time.Duration) error {
	cause, _, _ := strings.Cut(failure.text, "\n")
	title := fmt.Sprintf("waiting %v to push %s again", wait.Round(time.Millisecond), failure.ref)
	return progresswriter.Wrap(title, log, func(l progresswriter.SubLogger) error {
		l.Log(2, []byte(cause+"\n"))
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// vary returns between half and one and a half times wait.
func vary(wait time.Duration) time.Duration {
	return wait/2 + rand.N(wait)
}
