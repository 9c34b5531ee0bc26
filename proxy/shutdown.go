package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/config"
	"github.com/rtbuild/rtbuild/proxy/internal/front"
	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
)

// shutDown serves on for a while, then stops accepting and lets calls finish.
// Another signal ends the waits.
func shutDown(cfg config.Config, clients *front.Front, server *http.Server, handler *gateway.Gateway, signals <-chan os.Signal,
	log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		second(signals)
		cancel()
	}()
	leave(ctx, clients, handler, cfg.ShutdownDelay, log)
	drain(ctx, clients, server, newServer(cfg, clients, handler, log), cfg.Shutdown, log)
}

// second waits for another signal to stop.
func second(signals <-chan os.Signal) {
	for s := range signals {
		if s == syscall.SIGTERM || s == syscall.SIGINT {
			return
		}
	}
}

// leave goes on serving for a while, but ends each connection with its next
// answer: those who send calls learn of the end only some time after it was
// decided.
func leave(ctx context.Context, clients *front.Front, handler *gateway.Gateway, delay time.Duration, log *slog.Logger) {
	handler.Leave()
	clients.Leave()
	if delay == 0 {
		return
	}
	log.Info("about to shut down", "in", delay)
	select {
	case <-time.After(delay):
	case <-ctx.Done():
	}
}

// drain stops accepting and lets calls finish, unless ctx ends. A server that
// shuts down accepts nothing: late serves what is handed over meanwhile.
func drain(ctx context.Context, clients *front.Front, server, late *http.Server, limit time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	log.Info("shutting down", "within", limit)
	late.SetKeepAlivesEnabled(false)
	ended := make(chan error, 1)
	go func() { ended <- late.Serve(clients.Listener()) }()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(ctx) }()
	err := clients.Shutdown(ctx)
	err = errors.Join(err, <-stopped, late.Shutdown(ctx))
	if bad := <-ended; !errors.Is(bad, http.ErrServerClosed) {
		err = errors.Join(err, bad)
	}
	if err != nil {
		log.Warn("calls were cut at shutdown", "error", err)
		_ = errors.Join(server.Close(), late.Close()) // their listeners are closed already
	}
}
