// Package invocation is what every command is given and works with: the streams,
// the flags that several commands have, the environment, the settings files, and
// by them the tree and its evaluator. It says what it has to say to people.
//
// Both programs read their command lines by it, and one of them has to start
// quickly: it imports no engine and no registry.
package invocation

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

// Exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
	// ExitInterrupted is what shells make of SIGINT: 128 and the signal's number.
	ExitInterrupted = 130
)

// Streams are where a command prints.
type Streams struct {
	// Out takes results, Err everything else.
	Out, Err io.Writer
}

// An Invocation is one run of a command.
type Invocation struct {
	Streams   Streams
	LookupEnv func(string) (string, bool)
	Flags     Flags
	// Root is the repository's absolute path, once known.
	Root string
	// Base is the folder that paths of arguments are relative to, relative to the
	// root with forward slashes; empty for the root.
	Base string

	set *pflag.FlagSet // where the flags were read, once known
}

// A UsageError is a command line that cannot be run.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef is a UsageError of a text.
func Usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}

// Notef tells people something; --quiet drops it.
func (i *Invocation) Notef(format string, args ...any) {
	if !i.Flags.Quiet {
		fmt.Fprintln(i.Streams.Err, i.Relative(fmt.Sprintf(format, args...)))
	}
}

// Warnf tells people something that they should not miss.
func (i *Invocation) Warnf(format string, args ...any) {
	fmt.Fprintln(i.Streams.Err, "warning: "+i.Relative(fmt.Sprintf(format, args...)))
}

// Relative shortens the paths in a message to what they are in the
// repository.
func (i *Invocation) Relative(text string) string {
	if i.Root == "" || i.Root == string(filepath.Separator) {
		return text
	}
	return strings.ReplaceAll(text, i.Root+string(filepath.Separator), "")
}

// Failed tells of the error that ends the command. An error without a text was
// told of before.
func (i *Invocation) Failed(ctx context.Context, err error) {
	text := i.Relative(err.Error())
	if ctx.Err() != nil {
		text = interrupted(text)
	}
	if text != "" {
		fmt.Fprintln(i.Streams.Err, "rtbuild: "+strings.ReplaceAll(text, "\n", "\nrtbuild: "))
	}
}

// interrupted is what an interrupted run says: that it was, and of its errors
// those that do not say the same.
func interrupted(text string) string {
	lines := []string{"interrupted"}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && !strings.Contains(line, context.Canceled.Error()) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
