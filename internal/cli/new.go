package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/pkg/release"
	"github.com/rtbuild/rtbuild/pkg/scaffold"
)

// added is what new wrote, or would write, as it prints it.
type added struct {
	Runtime  string   `json:"runtime"`
	Versions []string `json:"versions"`
	// From is the runtime, or the version of this one, that it is made of.
	From string `json:"from,omitempty"`
	// Written are new files, and Changed those that were there.
	Written []string `json:"written"`
	Changed []string `json:"changed"`
	DryRun  bool     `json:"dryRun"`
	Diff    string   `json:"diff"`
	// Next are commands that come next.
	Next []string `json:"next"`
}

func (a *app) newCommand() *cobra.Command {
	var o scaffold.RuntimeOptions
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Add a runtime, or a version of one",
		Long: `Add a runtime: a folder with its Dockerfiles, worker, manifest, Makefile, examples,
contract functions and README, which the root document imports. NAME is what users
will type before a version, and the name of the folder.

With --from RUNTIME it is a copy of that runtime of this tree, as it is there now,
under names of its own: it is built and keeps the contract from the start, and
becomes another one bit by bit. Without, it is a blank one that runs shell
functions; its README says what to fill in.

The files are those that git knows or would add. Of the root document one place
changes. What was written is loaded and checked; if something is wrong with it, all
is as it was.`,
		Example: `  rtbuild new perl --from python
  rtbuild new perl --from python --version 5.40 --suite stable
  rtbuild new cobol
  rtbuild new version nodejs 26 --eol 2029-04-30`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return invocation.Usagef("rtbuild new: want the name of one runtime; a version is added by rtbuild new version RUNTIME VERSION")
			}
			o.Name = args[0]
			return a.add(cmd, dryRun, func(ctx context.Context, tree *scaffold.Tree) (*scaffold.Addition, error) {
				return tree.Runtime(ctx, o)
			})
		},
	}
	cmd.PersistentFlags().BoolVar(&dryRun, "dry-run", false, "change nothing; print what would be written")
	cmd.Flags().StringVar(&o.From, "from", scaffold.Blank, "the `RUNTIME` to copy, or blank")
	cmd.Flags().StringSliceVar(&o.Versions, "version", nil, "its `VERSION`, may be repeated (default: the newest of what it is a copy of; 1 of a blank one)")
	cmd.Flags().StringVar(&o.Suite, "suite", "", "the `FOLDER` that holds its folder: stable or incubator, or those of rtbuild.yaml (default: the last one)")
	cmd.Flags().BoolVar(&o.NoImport, "no-import", false, "leave the root document alone, and print what to add to it")
	cmd.AddCommand(a.newVersionCommand(&dryRun))
	return cmd
}

func (a *app) newVersionCommand(dryRun *bool) *cobra.Command {
	var o scaffold.VersionOptions
	cmd := &cobra.Command{
		Use:   "version RUNTIME VERSION",
		Short: "Add a version to a runtime",
		Long: `Add a version to a runtime: an element in the manifest's list of versions, a copy of
the newest one's with the version, the name and the tags of images replaced. Digests
are left out, since those are the other version's, and so is its end of life. What
else is different, --set says. A Dockerfile that is the newest version's alone, by its name, is copied as well, and
the table of versions in the runtime's README gets a row.

Before anything is written, the manifests are evaluated with it: all must be as
before, with exactly that version more.`,
		Example: `  rtbuild new version nodejs 26 --eol 2029-04-30
  rtbuild new version python 3.12 --set suite=trixie
  rtbuild new version python 3.15 --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return invocation.Usagef("rtbuild new version: want a runtime and a version, as in rtbuild new version nodejs 26")
			}
			o.Runtime, o.Version = args[0], args[1]
			return a.add(cmd, *dryRun, func(ctx context.Context, tree *scaffold.Tree) (*scaffold.Addition, error) {
				return tree.Version(ctx, o)
			})
		},
	}
	cmd.Flags().StringVar(&o.EOL, "eol", "", "the last day of its support, `YYYY-MM-DD`")
	cmd.Flags().StringToStringVar(&o.Fields, "set", nil, "another value for a field that the newest version has, `FIELD=VALUE`, as suite=trixie; may be repeated")
	return cmd
}

// add finds out what is to be added to the tree, writes it, and says what comes next.
func (a *app) add(cmd *cobra.Command, dryRun bool, plan func(context.Context, *scaffold.Tree) (*scaffold.Addition, error)) error {
	return a.with(cmd, func(ctx context.Context, s *session) error {
		tree, err := s.scaffoldTree()
		if err != nil {
			return err
		}
		if !dryRun {
			unlock, err := a.alone()
			if err != nil {
				return err
			}
			defer unlock()
		}
		addition, err := plan(ctx, tree)
		if err != nil {
			return explainedAddition(err)
		}
		if !dryRun {
			if err := addition.Write(ctx); err != nil {
				return err
			}
		}
		result := s.describeAddition(addition, dryRun)
		if err := a.print(result, func(out io.Writer) error { return result.text(out) }); err != nil {
			return err
		}
		s.sayNext(addition, result)
		return nil
	})
}

// explainedAddition is an error with what can be done about it.
func explainedAddition(err error) error {
	var wrong *scaffold.InputError
	if errors.As(err, &wrong) {
		return &invocation.UsageError{Err: err}
	}
	var closed *scaffold.NotExtendedError
	if errors.As(err, &closed) {
		return fmt.Errorf("%w; add --no-import, and then by hand in %s: %s", err, closed.Entry, closed.Line)
	}
	return err
}

func (s *session) scaffoldTree() (*scaffold.Tree, error) {
	ev, err := s.app.Evaluator(s.Root, s.Config)
	if err != nil {
		return nil, err
	}
	return &scaffold.Tree{
		Project: s.project, Evaluator: ev, Folders: s.Config.Roots, Sources: s.sourcesIn,
		Open: func(ctx context.Context) (*release.Project, error) {
			if err := s.load(ctx); err != nil {
				return nil, err
			}
			return s.project, nil
		},
	}, nil
}

// sourcesIn are the files of a folder that belong to the repository: all of them
// where there is no git.
func (s *session) sourcesIn(ctx context.Context, folder string) ([]string, error) {
	repository, err := git.Open(ctx, s.Root)
	if errors.Is(err, git.ErrNoRepository) {
		return scaffold.AllFiles(s.Root, folder)
	}
	if err != nil {
		return nil, err
	}
	return repository.Files(ctx, folder)
}

func (s *session) describeAddition(addition *scaffold.Addition, dryRun bool) added {
	result := added{
		Runtime: addition.Runtime, Versions: addition.Versions, From: addition.From, Written: []string{}, Changed: []string{},
		DryRun: dryRun, Diff: string(addition.Patch.Diff(s.Root)), Next: []string{},
	}
	for _, f := range addition.Files {
		result.Written = append(result.Written, f.Path)
	}
	for _, f := range addition.Patch.Files {
		result.Changed = append(result.Changed, s.app.Relative(f.Path))
	}
	name := addition.Runtime
	if len(addition.Versions) == 1 {
		name += ":" + addition.Versions[0]
	}
	for _, command := range []string{"check " + addition.Runtime, "build " + name, "verify " + name} {
		result.Next = append(result.Next, "rtbuild "+command)
	}
	if addition.Deployable() {
		result.Next = append(result.Next, "make -C "+addition.Folder+" deploy test")
	}
	return result
}

// text prints the files, and the differences of those that were there if there is
// nothing else to see.
func (r added) text(out io.Writer) error {
	var text strings.Builder
	for _, file := range r.Written {
		text.WriteString("new      " + file + "\n")
	}
	for _, file := range r.Changed {
		text.WriteString("changed  " + file + "\n")
	}
	if r.DryRun || len(r.Written) == 0 {
		text.WriteString(r.Diff)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// sayNext says what the addition is, and what comes next.
func (s *session) sayNext(addition *scaffold.Addition, result added) {
	verb := "added"
	if result.DryRun {
		verb = "would add"
	}
	versions := strings.Join(result.Versions, ", ")
	say := s.app.Notef
	switch {
	case addition.OfVersion():
		say("%s %s %s, made of %s", verb, result.Runtime, versions, result.From)
	case result.From == "":
		say("%s %s %s in %s: it runs shell functions; %s/README.md says what to fill in", verb, result.Runtime, versions, addition.Folder, addition.Folder)
	default:
		say("%s %s %s in %s: what %s is, under names of its own, until you change it", verb, result.Runtime, versions, addition.Folder, result.From)
	}
	if addition.Resumed {
		say("%s was there, as a run leaves it that does not come to its end", addition.Folder)
	}
	if addition.Line != "" {
		say("add to %s: %s", s.project.Tree.Entry, addition.Line)
	}
	say("next:")
	for _, command := range result.Next {
		say("  %s", command)
	}
}
