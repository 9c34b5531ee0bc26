// Command rtbuild builds the images of function runtimes, pins their digests
// in Jsonnet manifests and prints the ConfigMap that publishes them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rtbuild/rtbuild/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr}, os.LookupEnv)
	stop()
	os.Exit(code)
}
