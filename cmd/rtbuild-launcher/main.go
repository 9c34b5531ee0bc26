// Command rtbuild-launcher is what is installed as rtbuild, with the whole program
// beside it as rtbuild-full. It starts in a quarter of the time of that: it prints
// the ConfigMap and the version by itself, and starts the whole program for all else.
package main

import (
	"os"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/cli/launcher"
	"github.com/rtbuild/rtbuild/internal/cli/process"
)

func main() {
	process.CollectLater()
	os.Exit(launcher.Run(os.Args, invocation.Streams{Out: os.Stdout, Err: os.Stderr}, os.LookupEnv))
}
