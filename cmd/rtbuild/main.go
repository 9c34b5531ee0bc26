// Command rtbuild builds the images of function runtimes, pins their digests
// in Jsonnet manifests and prints the ConfigMap that publishes them. It is the whole
// program; where cmd/rtbuild-launcher is installed with it, its name is rtbuild-full.
package main

import (
	"os"

	"github.com/rtbuild/rtbuild/internal/cli"
	"github.com/rtbuild/rtbuild/internal/cli/process"
)

func main() {
	process.CollectLater()
	ctx, stop := process.Interruptible()
	code := cli.Run(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr}, os.LookupEnv)
	stop()
	os.Exit(code)
}
