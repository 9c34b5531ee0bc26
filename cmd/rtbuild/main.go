// Command rtbuild builds the images of function runtimes, pins their digests
// in Jsonnet manifests and prints the ConfigMap that publishes them.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/rtbuild/rtbuild/internal/cli"
)

func main() {
	collectLater()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr}, os.LookupEnv)
	stop()
	os.Exit(code)
}

// collectLater lets the heap grow to 16 MiB before it is collected for the
// first time; from then on it is as GOGC says. Most commands end before. A
// collection costs them a tenth of their time, since it scans the variables of
// all packages, of which there are many.
func collectLater() {
	usual := debug.SetGCPercent(400)
	if usual != 100 {
		debug.SetGCPercent(usual) // somebody has set GOGC
		return
	}
	runtime.AddCleanup(new([16]byte), func(percent int) { debug.SetGCPercent(percent) }, usual)
}
