package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rtbuild/rtbuild/internal/cli"
	"github.com/rtbuild/rtbuild/internal/registryserver"
)

var update = flag.Bool("update", false, "write the actual output into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rtbuild": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr}, os.LookupEnv))
		},
	})
}

// TestScripts runs the command line in testdata: each script is a small
// repository and what commands say of it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DOCKER_CONFIG", env.WorkDir) // no credentials of the machine
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "root" {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"pushimage": pushImage,
			"registry":  startRegistry,
			"resolves":  resolves,
		},
	})
}

// pushImage REF VAR [LABEL=VALUE|INSTRUCTION...] pushes an image of random content,
// with labels and ONBUILD instructions, and sets VAR to its digest.
func pushImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pushimage REF VAR [LABEL=VALUE|INSTRUCTION...]")
	}
	ref, err := name.ParseReference(args[0])
	ts.Check(err)
	image, err := random.Image(64, 1)
	ts.Check(err)
	config, err := image.ConfigFile()
	ts.Check(err)
	config.OS, config.Architecture, config.Config.Labels = "linux", "amd64", map[string]string{}
	for _, arg := range args[2:] {
		if key, value, ok := strings.Cut(arg, "="); ok && !strings.Contains(key, " ") {
			config.Config.Labels[key] = value
		} else {
			config.Config.OnBuild = append(config.Config.OnBuild, arg)
		}
	}
	image, err = mutate.ConfigFile(image, config)
	ts.Check(err)
	ts.Check(remote.Write(ref, image))
	digest, err := image.Digest()
	ts.Check(err)
	ts.Setenv(args[1], digest.String())
}

// resolves REF DIGEST wants a registry to have this digest for a reference.
func resolves(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: resolves REF DIGEST")
	}
	ref, err := name.ParseReference(args[0])
	ts.Check(err)
	descriptor, err := remote.Head(ref)
	ts.Check(err)
	if got := descriptor.Digest.String(); got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// startRegistry VAR serves an empty registry until the script ends and sets
// VAR to its HOST:PORT.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: registry VAR")
	}
	server, err := registryserver.Start(context.Background(), registryserver.Config{Root: ts.MkAbs(".registry-" + args[0]), Address: "127.0.0.1:0"})
	ts.Check(err)
	ts.Defer(func() { ts.Check(server.Close()) })
	ts.Setenv(args[0], server.Address())
}

// exits CODE PROGRAM ARG... runs a program and wants this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; fmt.Sprint(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// TestInterrupted holds that a run that is interrupted says so, and not what that
// made of its requests.
func TestInterrupted(t *testing.T) {
	root := t.TempDir()
	manifest := `[{ ID: 'go', versions: [{ name: 'go1', version: '1', images: [{ phase: 'runtime', image: 'kubeless/go:1' }] }] }]`
	if err := os.MkdirAll(filepath.Join(root, "stable", "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"stable/go/go.jsonnet": manifest, "stable/go/Dockerfile": "FROM scratch\n", "runtimes.jsonnet": "import 'stable/go/go.jsonnet'"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a registry that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		connection, err := silent.Accept()
		interrupt()
		if err == nil {
			defer connection.Close()
		}
		<-t.Context().Done()
	}()
	var stderr bytes.Buffer
	nothing := func(string) (string, bool) { return "", false }
	code := cli.Run(ctx, []string{"pin", "-C", root, "--registry", silent.Addr().String()}, cli.Streams{Out: io.Discard, Err: &stderr}, nothing)
	if code != 130 || stderr.String() != "rtbuild: interrupted\n" {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
}
