// Package launcher is the small program that is installed as rtbuild. It answers
// the commands that need little, as the whole program would, by the same functions.
// Whatever is not ordinary (an error, a flag or a setting that takes more) it leaves to
// the whole program, before anything is printed.
package launcher

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/cli/process"
	"github.com/rtbuild/rtbuild/internal/cli/published"
	"github.com/rtbuild/rtbuild/internal/version"
	"github.com/rtbuild/rtbuild/pkg/configmap"
)

// Run runs the command line, whose first word is the program's own name, and returns
// its exit code, unless the whole program takes the place of this one. The streams
// are this process's own, as the whole program has them.
func Run(args []string, streams invocation.Streams, lookupEnv func(string) (string, bool)) int {
	found := make(chan whole, 1)
	go func() { found <- findWhole() }()
	failed := func(err error) int {
		fmt.Fprintf(streams.Err, "rtbuild: %v\n", err)
		return invocation.ExitFailed
	}
	ctx, stop := process.Interruptible()
	answer := prepare(ctx, args[1:], streams, lookupEnv)
	other := <-found
	// What is not installed at all makes no answer wrong, and another version may.
	if other.err != nil && (answer == nil || !other.missing) {
		return failed(other.err)
	}
	if answer != nil {
		return answer()
	}
	stop()
	code, err := become(other.path, args)
	if err != nil {
		return failed(fmt.Errorf("starting the rest of rtbuild: %w", err))
	}
	return code
}

// prepare does all of a command but print, which is left to the function that it
// returns; that returns the exit code. It returns nil for what the whole program has to
// do.
func prepare(ctx context.Context, args []string, streams invocation.Streams, lookupEnv func(string) (string, bool)) func() int {
	messages := &held{out: streams.Err}
	i := &invocation.Invocation{Streams: invocation.Streams{Out: streams.Out, Err: messages}, LookupEnv: lookupEnv}
	show := prepared(ctx, i, args)
	interrupted := ctx.Err()
	if show == nil && interrupted == nil {
		return nil
	}
	return func() int {
		messages.release()
		if interrupted != nil {
			i.Failed(ctx, interrupted)
			return invocation.ExitInterrupted
		}
		if err := show(); err != nil {
			i.Failed(ctx, err)
			return invocation.ExitFailed
		}
		return invocation.ExitDone
	}
}

// prepared is what prints the answer of a command.
func prepared(ctx context.Context, i *invocation.Invocation, args []string) func() error {
	if len(args) == 0 {
		return nil
	}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.Usage = func() {}
	i.Flags.All(set)
	switch args[0] {
	case "configmap":
		var o published.Options
		o.Flags(set)
		if ordinary(i, set, args[1:]) && o.Check() == nil {
			return preparedConfigMap(ctx, i, &o)
		}
	case "version":
		if ordinary(i, set, args[1:]) {
			return func() error {
				if err := version.This().Print(i.Streams.Out); err != nil {
					return fmt.Errorf("printing the result: %w", err)
				}
				return nil
			}
		}
	}
	return nil
}

// ordinary reads flags and environment, and tells whether they ask for no more than
// text.
func ordinary(i *invocation.Invocation, set *pflag.FlagSet, args []string) bool {
	err := set.Parse(args)
	return err == nil && set.NArg() == 0 && i.Environment(set) == nil && i.Flags.Output == "text"
}

// preparedConfigMap makes the ConfigMap, and is what prints it. Errors are left to the
// whole program, which finds them again and tells of them.
func preparedConfigMap(ctx context.Context, i *invocation.Invocation, o *published.Options) func() error {
	settings, err := i.Open()
	if err != nil || settings.Registry != "" {
		return nil
	}
	tree, err := i.Manifests(ctx, settings)
	if err != nil || tree.Valid() != nil {
		return nil
	}
	c, err := o.Make(i, tree, nil, settings.Config.ConfigMap)
	if err != nil {
		return nil
	}
	return func() error { return o.Print(i, c, (*configmap.ConfigMap).YAML) }
}

// held holds what is written to out back until it is released.
type held struct {
	out      io.Writer
	text     bytes.Buffer
	released bool
}

func (h *held) Write(p []byte) (int, error) {
	if h.released {
		return h.out.Write(p)
	}
	return h.text.Write(p)
}

// release writes what was held back. As with all messages, nobody can be told that
// they cannot be written.
func (h *held) release() {
	h.released = true
	_, _ = h.text.WriteTo(h.out)
}
