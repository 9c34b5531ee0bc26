// Command proxy is PID 1 of runtime images: it starts the language's server
// as worker processes and gives it what all runtimes have in common: health,
// time limits, logs, metrics, CORS and an orderly shutdown. See README.md.
package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/accesslog"
	"github.com/rtbuild/rtbuild/proxy/internal/config"
	"github.com/rtbuild/rtbuild/proxy/internal/front"
	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
	"github.com/rtbuild/rtbuild/proxy/internal/metrics"
	"github.com/rtbuild/rtbuild/proxy/internal/output"
	"github.com/rtbuild/rtbuild/proxy/internal/pool"
	"github.com/rtbuild/rtbuild/proxy/internal/reaper"
	"github.com/rtbuild/rtbuild/proxy/internal/socket"
)

// Exit codes.
const (
	exitOK     = 0
	exitError  = 1
	exitConfig = 2
)

func main() { os.Exit(run()) }

// spareThreads is how many threads are kept for a moment when a function has
// used up the container's processes: a Go program that cannot start a thread
// that it needs ends.
const spareThreads = 16

func reserveThreads() {
	var all, held sync.WaitGroup
	all.Add(spareThreads)
	for range spareThreads {
		held.Add(1)
		go func() {
			defer held.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread() // the runtime keeps the thread
			all.Done()
			all.Wait()
		}()
	}
	held.Wait()
}

func run() int {
	if len(os.Args) > 1 && os.Args[1] == forwardCommand {
		return runForward(os.Args[2:])
	}
	reserveThreads()
	limits := config.ReadLimits(os.DirFS("/"), runtime.NumCPU())
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(limits.CPUs)
	}
	cfg, err := config.FromEnv(os.LookupEnv, limits)
	if err != nil {
		fmt.Fprintf(os.Stderr, "proxy: %v\n", err)
		return exitConfig
	}
	stdout, stderr := output.NewSink(os.Stdout, output.Format{JSON: cfg.LogJSON, Stream: "stdout"}),
		output.NewSink(os.Stderr, output.Format{JSON: cfg.LogJSON, Stream: "stderr"})
	defer stdout.Close(time.Second)
	defer stderr.Close(time.Second)
	log := logger(stderr, cfg.LogJSON)
	if err := serve(cfg, limits, stdout, stderr, log); err != nil {
		log.Error("stopped", "error", err)
		return exitError
	}
	return exitOK
}

func logger(out *output.Sink, json bool) *slog.Logger {
	if json {
		return slog.New(slog.NewJSONHandler(out, nil))
	}
	return slog.New(slog.NewTextHandler(out, nil))
}

// killGrace is how long a worker may take to end by SIGTERM.
const killGrace = 2 * time.Second

func serve(cfg config.Config, limits config.Limits, stdout, stderr *output.Sink, log *slog.Logger) error {
	signals := make(chan os.Signal, 16)
	// SIGPIPE is caught so that a reader of the logs who leaves is no reason to end.
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(cfg.Port))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer listener.Close()
	sockets := ""
	if cfg.Network == "unix" {
		if sockets, err = socket.Folder(cfg.SocketDirs); err != nil {
			return err
		}
	}
	table, err := reaper.New()
	if err != nil {
		return err
	}
	workers, err := pool.New(pool.Options{
		Table: table, Command: cfg.Command, Env: os.Environ(),
		Network: cfg.Network, Address: cfg.Address, SocketDir: sockets, HealthPath: cfg.HealthPath,
		Concurrency: cfg.Concurrency, MinWorkers: cfg.MinWorkers,
		MaxSingle: cfg.MaxSingle, MaxConcurrent: cfg.MaxConcurrent, CPUs: limits.CPUs,
		Queue: cfg.Queue, LoadTimeout: cfg.LoadTimeout, QueueTimeout: cfg.QueueTimeout,
		WorkerIdle: cfg.WorkerIdle, KillGrace: killGrace, Stdout: stdout, Stderr: stderr, Log: log,
	})
	if err != nil {
		return err
	}
	defer workers.Close()
	handler := newGateway(cfg, workers, stdout, stderr, log)
	clients, err := newFront(cfg, listener, handler, workers, log)
	if err != nil {
		return err
	}
	defer clients.Close()
	server := newServer(cfg, clients, handler, log)
	failed := make(chan error, 3)
	go func() { failed <- server.Serve(clients.Listener()) }()
	for _, port := range []int{cfg.AdminPort, cfg.ProbePort} {
		if port > 0 {
			admin := newAdmin(cfg, port, handler, log)
			defer admin.Close()
			go func() { failed <- admin.ListenAndServe() }()
		}
	}
	log.Info("listening", "address", listener.Addr().String(), "workers", cfg.Network)
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("serving: %w", err)
		case err := <-clients.Failed():
			return fmt.Errorf("serving: %w", err)
		case s := <-signals:
			switch s {
			case syscall.SIGTERM, syscall.SIGINT:
				shutDown(cfg, clients, server, handler, signals, log)
				return nil
			case syscall.SIGPIPE:
			default:
				workers.Signal(func(p *reaper.Process) { p.Signal(s.(syscall.Signal)) })
			}
		}
	}
}

// reserved are the paths of the worker protocol, hidden from clients.
func reserved(cfg config.Config) []string {
	if cfg.Network == "unix" {
		return []string{cfg.HealthPath, pool.CancelPath}
	}
	return nil
}

func newGateway(cfg config.Config, workers *pool.Pool, stdout, stderr *output.Sink, log *slog.Logger) *gateway.Gateway {
	dropped := func() uint64 { return stdout.Dropped() + stderr.Dropped() }
	return gateway.New(gateway.Options{
		Pool: workers, Metrics: metrics.New(workers.Stats, dropped), Access: accesslog.New(stdout, cfg.LogJSON),
		Log: log, Traces: stderr, Timeout: cfg.Timeout, BodyWithin: cfg.HeaderTimeout,
		Queue: cfg.Queue, QueueFor: cfg.QueueTimeout, MaxBody: cfg.MaxBody, MaxHeader: cfg.MaxHeader,
		Retry: retry(cfg.Retry), LogProbes: cfg.LogProbes, Debug: cfg.Debug, Admin: cfg.AdminPort > 0, Reserved: reserved(cfg), Origins: cfg.Origins,
	})
}

func retry(which string) gateway.Retry {
	switch which {
	case "all":
		return gateway.RetryAll
	case "off":
		return gateway.RetryNone
	default:
		return gateway.RetryIdempotent
	}
}

func newFront(cfg config.Config, listener net.Listener, handler *gateway.Gateway, workers *pool.Pool,
	log *slog.Logger) (*front.Front, error) {
	return front.New(listener.(*net.TCPListener), front.Options{
		Gateway: handler, Pool: workers, Log: log, Loops: cfg.Loops,
		Timeout: cfg.Timeout, IdleTimeout: cfg.IdleTimeout, WriteWithin: cfg.HeaderTimeout, MaxBody: cfg.MaxBody, MaxHeader: cfg.MaxHeader,
		Reserved: append(reserved(cfg), gateway.Own()...), Origins: cfg.Origins,
	})
}

// newServer serves what the front hands over.
func newServer(cfg config.Config, clients *front.Front, handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: handler, Protocols: protocols,
		ReadHeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.IdleTimeout, MaxHeaderBytes: int(cfg.MaxHeader),
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	clients.Attach(server)
	return server
}

// newAdmin serves probes and metrics on a port of their own.
func newAdmin(cfg config.Config, port int, handler *gateway.Gateway, log *slog.Logger) *http.Server {
	return &http.Server{Addr: ":" + strconv.Itoa(port), Handler: handler.Admin(),
		ReadHeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.IdleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}
