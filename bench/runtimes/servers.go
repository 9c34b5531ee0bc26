package main

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// The servers that are compared.
const (
	// asProxy is the image as it is.
	asProxy = "proxy"
	// asNetHTTP is the image without the proxy's event loops: net/http alone
	// serves clients.
	asNetHTTP = "net/http"
	// asBare is the image's worker with nothing before it.
	asBare = "bare"
	// asFramework is functions-framework in the same image.
	asFramework = "framework"
)

func serverNames() []string { return append(ownNames(), asFramework) }

// ownNames are the servers that are the image's own.
func ownNames() []string { return []string{asProxy, asNetHTTP, asBare} }

// A site is a container to measure, and where it is reached.
type site struct {
	spec containers.Container
	// socket is the path on this machine of the socket that it listens on;
	// empty: it listens on spec.Port.
	socket string
}

// socketName is the bare worker's socket in the function's volume.
const socketName = "bench.sock"

// bareSite is the worker of a function's image alone, or why there is none. The
// socket is in the function's volume, which this machine sees where the engine
// keeps it.
func bareSite(ctx context.Context, spec containers.Container, image imageDetail) (_ site, reason string, err error) {
	process := image.env("FUNC_PROCESS")
	if strings.TrimSpace(process) == "" || image.env("FUNC_UPSTREAM") != "unix" {
		return site{}, "the image names no worker that listens on a socket", nil
	}
	folder, err := dockerText(ctx, "volume", "inspect", "--format", "{{.Mountpoint}}", spec.Volume)
	if err != nil {
		return site{}, "", err
	}
	spec.Command = commandLine(process)
	spec.Env = slices.Concat(spec.Env, []function.Variable{{Name: "FUNC_SOCKET", Value: path.Join(spec.Mount, socketName)}})
	return site{spec: spec, socket: filepath.Join(folder, socketName)}, "", nil
}

// commandLine is the proxy's reading of FUNC_PROCESS: plain words are a
// command, anything else is the shell's.
func commandLine(process string) []string {
	words := strings.Fields(process)
	if strings.ContainsAny(process, "\"'\\$`|&;<>()*?[]{}~#\n") || strings.Contains(words[0], "=") {
		return []string{"/bin/sh", "-c", process}
	}
	return words
}

// callsAtOnce asks a worker how many calls it takes.
func callsAtOnce(ctx context.Context, at endpoint, image imageDetail) (int, error) {
	response, err := at.ask(ctx, http.MethodGet, "/_health", "", nil)
	if err != nil {
		return 0, fmt.Errorf("asking the worker for its health: %w", err)
	}
	defer response.Body.Close()
	for _, said := range []string{response.Header.Get("X-Func-Concurrency"), image.env("FUNC_WORKER_CONCURRENCY")} {
		if said != "" {
			return strconv.Atoi(said)
		}
	}
	return 1, nil
}

// A framework is functions-framework for one runtime.
type framework struct {
	// folder holds the function main.<ext> and its dependencies, relative to
	// the root.
	folder string
	// command starts it as its documentation has it for production.
	command []string
}

// frameworks are by runtime.
func frameworks() map[string]framework {
	return map[string]framework{
		"python": {"bench/runtimes/frameworks/python", []string{"functions-framework", "--target=handler", "--source=/kubeless/main.py"}},
		"nodejs": {"bench/runtimes/frameworks/nodejs", []string{"node", "/kubeless/node_modules/.bin/functions-framework", "--target=handler", "--source=/kubeless"}},
	}
}
