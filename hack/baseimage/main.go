// Command baseimage puts root file systems into a registry as images, in the
// place where Docker Hub's mirror has them:
//
//	go run ./hack/baseimage --registry local/mirror debian:bookworm-slim=rootfs.tar.gz
//
// writes mirror/library/debian:bookworm-slim into the embedded registry. The
// same root file system always makes the same image, and an image that is
// there already is not written again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/registryserver"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// errUsage marks errors of the command line: exit code 2.
var errUsage = errors.New("usage: baseimage --registry HOST[:PORT][/PREFIX]|local[/PREFIX] [--root DIR] NAME:TAG=rootfs.tar[.gz] …")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "baseimage:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// run puts the images and prints a line for each: reference, digest, and
// whether it was written.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("baseimage", flag.ContinueOnError)
	flags.SetOutput(stderr)
	place := flags.String("registry", "", "`place` of the mirror: HOST[:PORT][/PREFIX], or local[/PREFIX] for the embedded registry")
	root := flags.String("root", ".rtbuild/registry", "`folder` of the embedded registry")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w\n%w", err, errUsage)
	}
	if *place == "" || flags.NArg() == 0 {
		return errUsage
	}
	sources := make([]source, 0, flags.NArg())
	for _, arg := range flags.Args() {
		src, err := parseSource(arg)
		if err != nil {
			return err
		}
		sources = append(sources, src)
	}

	host, prefix, _ := strings.Cut(*place, "/")
	if host == "local" {
		server, err := registryserver.Start(ctx, registryserver.Config{Root: *root, Address: "127.0.0.1:0"})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		host = server.Address()
	}
	target := strings.TrimSuffix(host+"/"+prefix, "/")
	if err := reference.CheckRegistry(target); err != nil {
		return fmt.Errorf("%w\n%w", err, errUsage)
	}
	return put(ctx, target, sources, stdout)
}

// A source is a root file system and the image that it becomes.
type source struct {
	// path is the repository's path at its own registry, "library/debian".
	path string
	tag  string
	file string
}

// parseSource reads NAME:TAG=FILE.
func parseSource(arg string) (source, error) {
	ref, file, ok := strings.Cut(arg, "=")
	if !ok || file == "" {
		return source{}, fmt.Errorf("%q: want NAME:TAG=FILE\n%w", arg, errUsage)
	}
	parsed, err := reference.Parse(ref)
	if err != nil {
		return source{}, fmt.Errorf("%w\n%w", err, errUsage)
	}
	if parsed.Tag == "" || parsed.Digest != "" {
		return source{}, fmt.Errorf("%q: want NAME:TAG before the =\n%w", arg, errUsage)
	}
	return source{path: parsed.Path(), tag: parsed.Tag, file: file}, nil
}

func put(ctx context.Context, target string, sources []source, stdout io.Writer) error {
	for _, src := range sources {
		image, err := newImage(src.file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", src.file, err)
		}
		ref := fmt.Sprintf("%s/%s:%s", target, src.path, src.tag)
		digest, written, err := write(ctx, ref, image)
		if err != nil {
			return fmt.Errorf("pushing %s: %w", ref, err)
		}
		state := "unchanged"
		if written {
			state = "written"
		}
		fmt.Fprintf(stdout, "%s@%s %s\n", ref, digest, state)
	}
	return nil
}

// write pushes an image unless ref points to it already.
func write(ctx context.Context, ref string, image v1.Image) (digest v1.Hash, written bool, err error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return v1.Hash{}, false, err
	}
	if digest, err = image.Digest(); err != nil {
		return v1.Hash{}, false, err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("rtbuild-baseimage")}
	// A failure to look shows again when the image is written.
	if there, err := remote.Head(tag, options...); err == nil && there.Digest == digest {
		return digest, false, nil
	}
	return digest, true, remote.Write(tag, image, options...)
}
