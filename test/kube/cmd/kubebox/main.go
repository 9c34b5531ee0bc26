// Command kubebox is a Kubernetes API server with its etcd, and kubectl, in
// one file, for tests that must know what a real cluster answers.
//
//	kubebox serve --dir DIR     serve until SIGTERM or the end of stdin
//	kubebox kubectl ARG…        kubectl
//
// The server is for tests only: it loses data in a crash, and its etcd answers
// anybody on this machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
)

const usage = `usage: kubebox serve --dir DIR
       kubebox kubectl ARG...
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch os.Args[1] {
	case "serve":
		os.Exit(serveCommand(os.Args[2:]))
	case "kubectl":
		// kubectl reads os.Args itself, in several places.
		os.Args = os.Args[1:]
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	default:
		fmt.Fprintf(os.Stderr, "kubebox: unknown command %q\n%s", os.Args[1], usage)
		os.Exit(2)
	}
}

// serveCommand runs "kubebox serve" and returns its exit code: 0 when it was
// asked to stop, 1 when the server failed or did not get to serve, 2 for wrong
// arguments.
func serveCommand(args []string) int {
	flags := flag.NewFlagSet("kubebox serve", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for the server's state and its kubeconfig; made if missing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *dir == "" || flags.NArg() > 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// A parent that dies closes the pipe that it gave us as stdin: that way no
	// server outlives the test that started it, however the test ended.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := serve(ctx, *dir, func() { fmt.Println("ready") }); err != nil {
		fmt.Fprintf(os.Stderr, "kubebox: %v\n", err)
		return 1
	}
	return 0
}
