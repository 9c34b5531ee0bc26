// Command kubebox is Kubernetes in one file, for tests that must know what a
// real cluster does: the API server with its etcd, what a node runs, and kubectl.
//
//	kubebox serve --dir DIR     API server, until SIGTERM or the end of stdin
//	kubebox COMPONENT ARG…      kube-controller-manager, kube-scheduler,
//	                            kubelet, kube-proxy or kubectl
//
// A link to it that has a component's name is that component.
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
	"path/filepath"
	"syscall"
)

const usage = `usage: kubebox serve --dir DIR
       kubebox COMPONENT ARG...
components: kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl
`

func main() {
	if name := filepath.Base(os.Args[0]); isComponent(name) {
		os.Exit(runComponent(name))
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name := os.Args[1]
	// Components read os.Args themselves, in several places.
	os.Args = os.Args[1:]
	switch {
	case name == "serve":
		os.Exit(serveCommand(os.Args[1:]))
	case isComponent(name):
		os.Exit(runComponent(name))
	}
	fmt.Fprintf(os.Stderr, "kubebox: unknown command %q\n%s", name, usage)
	os.Exit(2)
}

// serveCommand runs "kubebox serve" and returns its exit code: 0 when it was
// asked to stop, 1 when the server failed or did not get to serve, 2 for wrong
// arguments.
func serveCommand(args []string) int {
	flags := flag.NewFlagSet("kubebox serve", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for the server's state and its kubeconfig; made if missing")
	accounts := flags.Bool("service-accounts", false, "give Pods service accounts, which a controller manager must make")
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
	if err := serve(ctx, *dir, *accounts, func() { fmt.Println("ready") }); err != nil {
		fmt.Fprintf(os.Stderr, "kubebox: %v\n", err)
		return 1
	}
	return 0
}
