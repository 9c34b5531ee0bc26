package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// watchPause is between two looks at the source.
const watchPause = 200 * time.Millisecond

func (a *app) runCommand() *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "run FILE|FOLDER --runtime RUNTIME",
		Short: "Run a function while its author works on it: deployed again when a file changes",
		Long: `Deploy a function to Docker, print its address and what it prints, and deploy it
again whenever its files or its dependency file change. Where only files changed,
of a language that is not compiled, nothing is installed again. What goes wrong is
printed, and the last version that worked goes on. Ctrl-C removes all of it.

The handler is by default the function handler of the file.`,
		Example: `  rtbuild run examples/helloget.py --runtime python3.13`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return invocation.Usagef("rtbuild run: want a file or a folder")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.source = args[0]
			if o.handler == "" {
				o.handler = strings.TrimSuffix(filepath.Base(o.source), filepath.Ext(o.source)) + ".handler"
			}
			return a.with(cmd, func(ctx context.Context, s *session) error {
				return s.develop(ctx, &o, o.placing(cmd.Flags()))
			})
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

// develop runs the function until ctx ends.
func (s *session) develop(ctx context.Context, o *deployOptions, at function.Placing) error {
	name := runName(o.source)
	namespace := fmt.Sprintf("run-%d", os.Getpid())
	seen, err := stamp(o)
	if err != nil {
		return err
	}
	f, err := s.functionOf(ctx, name, namespace, o)
	if err != nil {
		return err
	}
	return s.onDocker(ctx, func(engine *docker.Engine) (err error) {
		draft := &containers.Draft{Local: s.app.local(engine), At: at, Output: s.app.Streams.Out}
		defer func() { err = errors.Join(err, draft.Close(ctx)) }()
		status, err := draft.Replace(ctx, f)
		if err != nil {
			return ended(ctx, err)
		}
		s.app.Notef("%s answers at %s", name, status.URL)
		for ctx.Err() == nil {
			now, err := s.changed(ctx, o, seen)
			if err != nil {
				return ended(ctx, err)
			}
			seen = now
			s.replace(ctx, draft, name, namespace, o)
		}
		return nil
	})
}

// ended is no error for one who ended it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// replace deploys the function as it is now. An error is its author's to mend.
func (s *session) replace(ctx context.Context, draft *containers.Draft, name, namespace string, o *deployOptions) {
	began := time.Now()
	f, err := s.functionOf(ctx, name, namespace, o)
	if err == nil {
		_, err = draft.Replace(ctx, f)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.app.Warnf("not deployed: %v", s.explained(err))
	default:
		s.app.Notef("deployed again in %.1f s", time.Since(began).Seconds())
	}
}

// changed waits until the files are not what they were, and have been the same
// for a moment.
func (s *session) changed(ctx context.Context, o *deployOptions, seen string) (string, error) {
	before := seen
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(watchPause):
		}
		now, err := stamp(o)
		if err != nil {
			continue // an editor that replaces a file removes it first
		}
		if now != seen && now == before {
			return now, nil
		}
		before = now
	}
}

// stamp tells whether files are what they were.
func stamp(o *deployOptions) (string, error) {
	var all strings.Builder
	for _, root := range []string{o.source, o.dependencies} {
		if root == "" {
			continue
		}
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == ".git" {
				return fs.SkipDir
			}
			info, err := entry.Info()
			if err == nil && !entry.IsDir() {
				fmt.Fprintln(&all, path, info.Size(), info.Mode(), info.ModTime().UnixNano())
			}
			return err
		})
		if err != nil {
			return "", fmt.Errorf("watching %s: %w", root, err)
		}
	}
	return all.String(), nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// runName is a name for the function of a source.
func runName(source string) string {
	base := strings.ToLower(filepath.Base(filepath.Clean(source)))
	name := strings.Trim(notInNames.ReplaceAllString(strings.TrimSuffix(base, filepath.Ext(base)), "-"), "-")
	if function.CheckName(name) != nil {
		return "function"
	}
	return name
}
