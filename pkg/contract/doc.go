// Package contract verifies that an image keeps the contract of function
// runtimes: it runs functions in containers as the controller and the kubelet
// run them in a cluster, and checks each row of the contract by name.
//
// A Subject is one version of a runtime. Its phases are run as there: files in
// a volume at /kubeless, installation and compilation by a shell in their
// images, the runtime image with the controller's environment, all as UID 1000
// with fsGroup 1000. The functions are the runtime's own: a folder with
// contract.<ext>, which does what its data says ({"do":"echo","value":1}), and
// a few that do not load. docs/CONTRACT.md says how to write them.
//
// A Suite runs the checks of a subject. Most share one container, in turn, so
// that counts and log lines belong to one of them; those about time limits
// have one with a short limit; those about loading, crashes, shutdown and the
// examples have one each. Containers run side by side. Nothing is assumed of
// the image beyond the contract: not that it has our proxy, and not that it
// has a shell, unless a phase has a command.
//
// The checks:
//
//	load                the phases succeed and the function is loaded
//	health-loading      while the function loads, /readyz is 503 with the reason, never 200
//	health-ready        once /readyz is 200, the next call is answered
//	load-error          a function that raises while loading: /readyz is 503, the error is in the log
//	syntax-error        a syntax error shows the user's file and line: where it is compiled, on stderr and in the termination log, else in the log, and /readyz is 503
//	get                 GET calls the function
//	methods             POST, PUT, PATCH, DELETE and HEAD do, too
//	json                JSON data is parsed, values are answered as JSON
//	malformed-json      data that is no JSON but says so is 400
//	text                text comes and goes as it is, even if it looks like JSON
//	unicode             text and JSON are UTF-8 both ways
//	binary              bytes are answered as they are; a body that is no UTF-8 does no harm
//	large-body          10 MB of data, with and without a declared length
//	large-answer        an answer of 10 MB
//	event               headers Event-Id, -Type, -Time and -Namespace are the event's fields
//	context             the context has function name, timeout, runtime and memory limit
//	request             the function sees method, path and headers
//	status              the function sets status and headers
//	framing             Content-Length, Transfer-Encoding, Connection and X-Func-* are not the function's to set: dropped, or an error, and the next call is answered
//	stream              parts of an answer arrive as they are made
//	parallel            32 calls that sleep 2 s are answered within 20 s
//	exception           an exception is 500 with a short body, in the log, and harms no later call
//	exit                a function that ends its process: an error for that call, and the next one is answered
//	crash               the same for a process that a signal ends
//	flood               2 MB on stdout block nothing
//	timeout             a call over FUNC_TIMEOUT is 408 in time, and later ones are answered
//	timeout-neighbours  calls beside one that times out are undisturbed
//	timeout-busy        the same for an endless loop
//	metrics             /metrics counts calls, failures and durations by method, exactly
//	access-log          one line on stdout per request: date, method, path, status, duration, bytes
//	output              what the function prints is in the log, line by line
//	cors                answers and preflights let browsers call from anywhere
//	cloudevents         CloudEvents 1.0, binary and structured, are the event's fields
//	shutdown            SIGTERM: running calls end well, new ones are refused, exit code 0
//	user                the image's user is not root, and no process runs as root
//	read-only           with a read-only root file system, /tmp and /kubeless can be written, nothing else
//	start-time          the time to the first 200 is told, and below a minute
//	example-get         examples/helloget answers hello world
//	example-post        examples/hellowithdata answers its data
//	example-deps        examples/hellowithdeps uses a library that the phases installed
package contract
