package contract

import (
	"context"
	"time"
)

// A placement is where a check runs.
type placement int

const (
	// onShared: in the container of contract.<ext> that most checks share. They
	// come one after the other there, so that what it counts and logs belongs
	// to one of them.
	onShared placement = iota
	// onLimited: the same in a container with a short FUNC_TIMEOUT.
	onLimited
	// byItself: in a container of its own, at the same time as others.
	byItself
)

// A check is one row of the contract.
type check struct {
	name string
	// about is what it demands, for people.
	about string
	where placement
	// run makes sure of it. It returns something worth telling, or what was
	// expected and what came.
	run func(context.Context, *trial) (string, error)
	// timed tells that it has bounds of time, which a machine with other things
	// to do may miss: it is run once more before it fails.
	timed bool
	// skip is the reason why a subject cannot have it by nature; may be nil.
	skip func(Subject) string
}

// limit is the time that a check may take: enough for the slowest machine, so
// that a server that never answers ends the check.
func (c check) limit() time.Duration {
	if c.where == byItself {
		return 10 * time.Minute // with installation and compilation
	}
	return 2 * time.Minute
}

// A Description says what a check demands.
type Description struct{ Name, About string }

// Checks are all checks in the order of reports.
func Checks() []Description {
	var all []Description
	for _, c := range checks() {
		all = append(all, Description{Name: c.name, About: c.about})
	}
	return all
}

// Names are the names of all checks, in the order of reports.
func Names() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

func checks() []check {
	return []check{
		{name: "load", about: "the phases succeed and the function is loaded", run: checkLoad},
		{name: "health-loading", about: "while the function loads, /readyz is 503 with the reason, never 200", where: byItself, run: checkHealthLoading, timed: true},
		{name: "health-ready", about: "once /readyz is 200, the next call is answered", run: checkHealthReady},
		{name: "load-error", about: "a function that raises while loading: /readyz is 503, the error is in the log", where: byItself, run: checkLoadError},
		{name: "syntax-error", about: "a syntax error shows the user's file and line: where it is compiled, on stderr and in the termination log, else in the log, and /readyz is 503", where: byItself, run: checkSyntaxError},
		{name: "get", about: "GET calls the function", run: checkGet},
		{name: "methods", about: "POST, PUT, PATCH, DELETE and HEAD do, too", run: checkMethods},
		{name: "json", about: "JSON data is parsed, values are answered as JSON", run: checkJSON},
		{name: "malformed-json", about: "data that is no JSON but says so is 400", run: checkMalformedJSON},
		{name: "text", about: "text comes and goes as it is, even if it looks like JSON", run: checkText},
		{name: "unicode", about: "text and JSON are UTF-8 both ways", run: checkUnicode},
		{name: "binary", about: "bytes are answered as they are; a body that is no UTF-8 does no harm", run: checkBinary},
		{name: "large-body", about: "10 MB of data, with and without a declared length", run: checkLargeBody},
		{name: "large-answer", about: "an answer of 10 MB", run: checkLargeAnswer},
		{name: "event", about: "headers Event-Id, -Type, -Time and -Namespace are the event's fields", run: checkEvent},
		{name: "context", about: "the context has function name, timeout, runtime and memory limit", run: checkContext},
		{name: "request", about: "the function sees method, path and headers", run: checkRequest},
		{name: "status", about: "the function sets status and headers", run: checkStatus},
		{name: "framing", about: "Content-Length, Transfer-Encoding, Connection and X-Func-* are not the function's to set: dropped, or an error, and the next call is answered", run: checkFraming},
		{name: "stream", about: "parts of an answer arrive as they are made", run: checkStream, timed: true},
		{name: "parallel", about: "32 calls that sleep 2 s are answered within 20 s", run: checkParallel, timed: true},
		{name: "exception", about: "an exception is 500 with a short body, in the log, and harms no later call", run: checkException},
		{name: "exit", about: "a function that ends its process: an error for that call, and the next one is answered", where: byItself, run: checkExit},
		{name: "crash", about: "the same for a process that a signal ends", where: byItself, run: checkCrash},
		{name: "flood", about: "2 MB on stdout block nothing", run: checkFlood},
		{name: "timeout", about: "a call over FUNC_TIMEOUT is 408 in time, and later ones are answered", where: onLimited, run: checkTimeout, timed: true},
		{name: "timeout-neighbours", about: "calls beside one that times out are undisturbed", where: onLimited, run: checkTimeoutNeighbours, timed: true},
		{name: "timeout-busy", about: "the same for an endless loop", where: onLimited, run: checkTimeoutBusy, timed: true},
		{name: "metrics", about: "/metrics counts calls, failures and durations by method, exactly", run: checkMetrics},
		{name: "access-log", about: "one line on stdout per request: date, method, path, status, duration, bytes", run: checkAccessLog},
		{name: "output", about: "what the function prints is in the log, line by line", run: checkOutput},
		{name: "cors", about: "answers and preflights let browsers call from anywhere", run: checkCORS},
		{name: "cloudevents", about: "CloudEvents 1.0, binary and structured, are the event's fields", run: checkCloudEvents},
		{name: "shutdown", about: "SIGTERM: running calls end well, new ones are refused, exit code 0", where: byItself, run: checkShutdown},
		{name: "user", about: "the image's user is not root, and no process runs as root", run: checkUser},
		{name: "read-only", about: "with a read-only root file system, /tmp and /kubeless can be written, nothing else", run: checkReadOnly},
		{name: "start-time", about: "the time to the first 200 is told, and below a minute", run: checkStartTime},
		{name: "example-get", about: "examples/helloget answers hello world", where: byItself, run: checkExampleGet, skip: withoutExamples},
		{name: "example-post", about: "examples/hellowithdata answers its data", where: byItself, run: checkExamplePost, skip: withoutExamples},
		{name: "example-deps", about: "examples/hellowithdeps uses a library that the phases installed", where: byItself, run: checkExampleDeps, skip: withoutDependencies},
	}
}
