// Package config reads the proxy's settings from the environment. README.md
// lists them with their defaults.
package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Config holds every setting, checked.
type Config struct {
	Command []string // how to start a worker; [0] is looked up in PATH

	// Network is "unix" (each worker has a socket of its own, in a folder
	// under one of SocketDirs) or "tcp" (one worker, at Address).
	Network    string
	Address    string
	SocketDirs []string // the first that can be written

	// HealthPath is asked to learn whether a worker is ready; if empty, a
	// worker is ready when it accepts connections.
	HealthPath  string
	Concurrency int // calls at once that a worker takes unless it says otherwise

	MinWorkers    int
	MaxSingle     int // most workers, if each takes one call at once
	MaxConcurrent int // most workers, if each takes several
	Queue         int // calls that may wait for a worker

	Port      int
	AdminPort int           // for /healthz, /readyz and /metrics alone; 0: they are on Port
	ProbePort int           // has them besides Port or AdminPort; 0: none
	Loops     int           // event loops that share the clients; 0: net/http serves all
	Timeout   time.Duration // of one call

	LoadTimeout   time.Duration // until a new worker is ready
	QueueTimeout  time.Duration // until a waiting call is refused
	WorkerIdle    time.Duration // until a worker beyond MinWorkers is stopped
	HeaderTimeout time.Duration // to read a request's header, or a small body
	IdleTimeout   time.Duration // of a keep-alive connection without a request
	ShutdownDelay time.Duration // after SIGTERM, until no connection is accepted any more
	Shutdown      time.Duration // to finish calls after that

	MaxBody   int64  // bytes of a request body; 0 is no limit
	MaxHeader int64  // bytes of a request's head, as a worker gets it
	Retry     string // which calls run again if their worker ends: "idempotent", "all" or "off"
	LogJSON   bool
	LogProbes bool // whether /healthz and /metrics are in the access log
	Debug     bool
	Origins   []string // that CORS allows; "*" is any; none is no CORS
}

// Lookup finds an environment variable, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// reader collects the errors of all settings, so that a user sees them at once.
type reader struct {
	lookup Lookup
	errs   []error
}

// An event loop of clients shares CPUs with workers, so there is less than one
// for each.
const (
	cpusPerLoop = 2
	maxLoops    = 256
)

// Bounds of FUNC_MAX_HEADER, in bytes. Workers take heads of up to a MiB: a
// larger one must not reach any, lest it takes the rest for another request.
const (
	leastHeader = 1 << 10
	mostHeader  = 512 << 10
)

// FromEnv reads the settings. limits are those of the container; all wrong
// settings are named in the error.
func FromEnv(lookup Lookup, limits Limits) (Config, error) {
	r := &reader{lookup: lookup}
	c := Config{
		SocketDirs:    r.folders("FUNC_SOCKET_DIR", "KUBELESS_INSTALL_VOLUME"),
		MinWorkers:    r.count("FUNC_MIN_WORKERS", 1, 1),
		Queue:         r.count("FUNC_QUEUE", 1000, 0),
		Port:          r.count("FUNC_PORT", 8080, 1),
		Loops:         r.count("FUNC_LOOPS", max(1, limits.CPUs/cpusPerLoop), 0),
		Timeout:       r.seconds("FUNC_TIMEOUT", 180),
		LoadTimeout:   r.seconds("FUNC_LOAD_TIMEOUT", 300),
		WorkerIdle:    r.seconds("FUNC_WORKER_IDLE_TIMEOUT", 60),
		HeaderTimeout: r.seconds("FUNC_HEADER_TIMEOUT", 10),
		IdleTimeout:   r.seconds("FUNC_IDLE_TIMEOUT", 120),
		AdminPort:     r.count("FUNC_ADMIN_PORT", 0, 1),
		ProbePort:     r.count("FUNC_PROBE_PORT", 0, 1),
		ShutdownDelay: r.pause("SHUTDOWN_DELAY", 5),
		Shutdown:      r.seconds("SHUTDOWN_TIMEOUT", 10),
		MaxBody:       r.bytes("FUNC_MAX_BODY", "100Mi"),
		MaxHeader:     r.bytes("FUNC_MAX_HEADER", "64Ki"),
		Retry:         r.choice("FUNC_RETRY", "idempotent", "all", "off"),
		LogJSON:       r.choice("FUNC_LOG_FORMAT", "text", "json") == "json",
		LogProbes:     r.flag("FUNC_LOG_PROBES", true),
		Debug:         r.flag("FUNC_DEBUG", false),
		Origins:       origins(r.text("FUNC_CORS_ORIGINS", "*")),
	}
	c.QueueTimeout = r.seconds("FUNC_QUEUE_TIMEOUT", c.Timeout.Seconds())
	if c.Port > 65535 {
		r.fail("FUNC_PORT", fmt.Errorf("%d is not a port", c.Port))
	}
	if c.AdminPort > 65535 || c.AdminPort == c.Port {
		r.fail("FUNC_ADMIN_PORT", fmt.Errorf("%d is FUNC_PORT itself: want another port", c.AdminPort))
	}
	if c.ProbePort > 65535 {
		r.fail("FUNC_PROBE_PORT", fmt.Errorf("%d is not a port", c.ProbePort))
	}
	if c.ProbePort == c.Port && c.AdminPort == 0 || c.ProbePort == c.AdminPort {
		c.ProbePort = 0 // what is asked for is there
	}
	if c.MaxHeader < leastHeader || c.MaxHeader > mostHeader {
		r.fail("FUNC_MAX_HEADER", fmt.Errorf("%d bytes are not between %d and %d", c.MaxHeader, leastHeader, mostHeader))
	}
	if c.Loops > maxLoops {
		r.fail("FUNC_LOOPS", fmt.Errorf("%d is more than %d", c.Loops, maxLoops))
	}
	r.upstream(&c)
	if memory := r.bytes("FUNC_MEMORY_LIMIT", "0"); memory > 0 && (limits.Memory == 0 || memory < limits.Memory) {
		limits.Memory = memory
	}
	r.workers(&c, limits)
	var err error
	if c.Command, err = Command(r.text("FUNC_PROCESS", "")); err != nil {
		r.fail("FUNC_PROCESS", err)
	}
	return c, errors.Join(r.errs...)
}

// upstream reads where workers listen. Images that set nothing are those made
// for the classic proxy, whose one server listens on port 8090.
func (r *reader) upstream(c *Config) {
	where := r.text("FUNC_UPSTREAM", "127.0.0.1:8090")
	if where == "unix" {
		c.Network = "unix"
		c.HealthPath = r.text("FUNC_WORKER_HEALTH_PATH", "/_health")
		c.Concurrency = r.count("FUNC_WORKER_CONCURRENCY", 1, 1)
		return
	}
	c.Network, c.Address = "tcp", where
	c.HealthPath = r.text("FUNC_WORKER_HEALTH_PATH", "")
	c.Concurrency = r.count("FUNC_WORKER_CONCURRENCY", 256, 1)
	if _, _, err := net.SplitHostPort(where); err != nil {
		r.fail("FUNC_UPSTREAM", fmt.Errorf("must be \"unix\" or host:port: %w", err))
	}
}

// Sizes from which the default number of workers follows: one that takes a
// single call waits most of the time, so there may be many per CPU; one that
// takes many keeps a CPU busy alone.
const (
	singleMemory     = 32 << 20
	concurrentMemory = 128 << 20
	singlePerCPU     = 8
	singleAtLeast    = 32
)

func (r *reader) workers(c *Config, limits Limits) {
	c.MaxSingle = max(singleAtLeast, singlePerCPU*limits.CPUs)
	c.MaxConcurrent = max(2, limits.CPUs)
	if limits.Memory > 0 {
		c.MaxSingle = min(c.MaxSingle, max(1, int(limits.Memory/singleMemory)))
		c.MaxConcurrent = min(c.MaxConcurrent, max(1, int(limits.Memory/concurrentMemory)))
	}
	if most := r.count("FUNC_MAX_WORKERS", 0, 0); most > 0 {
		c.MaxSingle, c.MaxConcurrent = most, most
		if c.MinWorkers > most {
			r.fail("FUNC_MIN_WORKERS", fmt.Errorf("%d is more than FUNC_MAX_WORKERS, %d", c.MinWorkers, most))
		}
	}
	if c.Network == "tcp" { // the port has one owner
		c.MinWorkers, c.MaxSingle, c.MaxConcurrent = 1, 1, 1
	}
	c.MinWorkers = min(c.MinWorkers, c.MaxSingle, c.MaxConcurrent)
}

// fail notes an error of one setting.
func (r *reader) fail(name string, err error) {
	r.errs = append(r.errs, fmt.Errorf("reading %s: %w", name, err))
}

// text treats an empty variable as one that is not set, as Kubernetes manifests
// often carry those.
func (r *reader) text(name, otherwise string) string {
	if v, ok := r.lookup(name); ok && strings.TrimSpace(v) != "" {
		return strings.TrimSpace(v)
	}
	return otherwise
}

func (r *reader) count(name string, otherwise, least int) int {
	v := r.text(name, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > 1<<20 {
		r.fail(name, fmt.Errorf("%q is not a whole number from %d", v, least))
		return otherwise
	}
	return n
}

func (r *reader) seconds(name string, otherwise float64) time.Duration {
	n, v := otherwise, r.text(name, "")
	if v != "" {
		var err error
		n, err = strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(n) || n <= 0 || n > 1e9 {
			r.fail(name, fmt.Errorf("%q is not a number of seconds above 0", v))
			n = otherwise
		}
	}
	return time.Duration(n * float64(time.Second))
}

// pause is a number of seconds that may be 0.
func (r *reader) pause(name string, otherwise float64) time.Duration {
	if n, err := strconv.ParseFloat(r.text(name, ""), 64); err == nil && n == 0 {
		return 0
	}
	return r.seconds(name, otherwise)
}

// folders are where sockets may be: where a setting says, or what can be
// written in most containers, the last in those whose root cannot be: a volume.
func (r *reader) folders(name, volume string) []string {
	if where := r.text(name, ""); where != "" {
		return []string{where}
	}
	return []string{"/tmp", "/dev/shm", r.text(volume, "/kubeless")}
}

func (r *reader) bytes(name, otherwise string) int64 {
	n, err := ParseQuantity(r.text(name, otherwise))
	if err != nil {
		r.fail(name, err)
	}
	return n
}

func (r *reader) choice(name string, options ...string) string {
	v := r.text(name, options[0])
	for _, o := range options {
		if v == o {
			return v
		}
	}
	r.fail(name, fmt.Errorf("%q is none of %s", v, strings.Join(options, ", ")))
	return options[0]
}

func (r *reader) flag(name string, otherwise bool) bool {
	switch v := strings.ToLower(r.text(name, "")); v {
	case "":
		return otherwise
	case "1", "true", "yes", "on":
		return true
	case "0", "false", "no", "off":
		return false
	default:
		r.fail(name, fmt.Errorf("%q is neither true nor false", v))
		return otherwise
	}
}

func origins(list string) []string {
	if list == "off" {
		return nil
	}
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
