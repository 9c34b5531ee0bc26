package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/forward"
)

// forwardCommand is the argument that makes this program a forwarder.
const forwardCommand = "forward"

// runForward serves FUNC_PORT with what the server that a file names answers.
// After SIGTERM it finishes the calls that it has within SHUTDOWN_TIMEOUT.
func runForward(arguments []string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if len(arguments) != 1 {
		fmt.Fprintln(os.Stderr, "proxy: usage: proxy forward FILE, which holds HOST:PORT of a server and the end of the line")
		return exitConfig
	}
	port, err := number("FUNC_PORT", 8080)
	timeout, timeoutErr := number("SHUTDOWN_TIMEOUT", 10)
	if err := errors.Join(err, timeoutErr); err != nil {
		fmt.Fprintf(os.Stderr, "proxy: %v\n", err)
		return exitConfig
	}
	if err := serveForward(arguments[0], port, time.Duration(timeout)*time.Second, log); err != nil {
		log.Error("stopped", "error", err)
		return exitError
	}
	return exitOK
}

func number(name string, otherwise int) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s=%s: want a whole number", name, text)
	}
	return n, nil
}

func serveForward(file string, port int, timeout time.Duration, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: forward.New(file, log), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Info("forwarding", "address", listener.Addr().String(), "file", file)
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		return errors.Join(fmt.Errorf("finishing calls: %w", err), server.Close())
	}
	return nil
}
