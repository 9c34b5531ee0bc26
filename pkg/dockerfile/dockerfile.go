// Package dockerfile reads which images a Dockerfile is built from, and
// rewrites those references in memory. Parsing is BuildKit's own.
package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// A Use is a place where a Dockerfile names an image: FROM, COPY --from or
// RUN --mount=from.
type Use struct {
	// Image is the reference with build arguments substituted.
	Image string
	// Line is the first line of the instruction, 1-based.
	Line int

	endLine int
	written string // the reference as it stands in the source
	from    bool   // a FROM, not a --from
}

// From tells whether it is a FROM: the ONBUILD instructions of the image run.
func (u Use) From() bool { return u.from }

// Options say how a Dockerfile is to be built.
type Options struct {
	// Args are the build arguments.
	Args map[string]string
	// Stage is the stage to build; empty for the last one.
	Stage string
	// OnBuild tells the ONBUILD instructions, without that word, of an image
	// that a FROM names; nil: no image has any.
	OnBuild func(image string) []string
}

// A File is what building a Dockerfile needs.
type File struct {
	// Images are the images, in source order: those of the stages that the
	// wanted stage depends on. Names of stages and "scratch" are no images.
	Images []Use
	// Reads are the paths in the build context that the build can read, as
	// patterns of path.Match relative to the context's root, in source order:
	// the sources of COPY and ADD and of RUN --mount=type=bind, in the stages
	// that the wanted stage depends on, and in ONBUILD instructions that run
	// there. A pattern stands for what it matches and all that lies below. Where a
	// source depends on a variable, the answer is Everything.
	Reads []string
	// OnBuild are the wanted stage's ONBUILD instructions, without that word. They
	// run at the start of stages that are FROM its image, and are not handed on
	// from there.
	OnBuild []string
}

// Parse reads a Dockerfile. Errors start with "name:line:".
func Parse(name string, source []byte, opts Options) (*File, error) {
	ast, err := parser.Parse(bytes.NewReader(source))
	if err != nil {
		return nil, located(name, err)
	}
	stages, metaArgs, err := instructions.Parse(ast.AST, nil)
	if err != nil {
		return nil, located(name, err)
	}
	g, target, err := walk(name, ast.EscapeToken, stages, metaArgs, opts)
	if err != nil {
		return nil, err
	}
	return &File{Images: g.images(), Reads: g.reads(), OnBuild: onBuild(stages[target])}, nil
}

// walk follows what the wanted stage depends on, whose number is returned.
func walk(name string, escape rune, stages []instructions.Stage, metaArgs []instructions.ArgCommand, opts Options) (g *graph, target int, err error) {
	if len(stages) == 0 {
		return nil, 0, fmt.Errorf("%s:1: no FROM instruction", name)
	}
	g = &graph{
		name:      name,
		stages:    stages,
		env:       globals(shell.NewLex(escape), metaArgs, opts.Args),
		lex:       shell.NewLex(escape),
		inherited: opts.OnBuild,
		needed:    map[int]bool{},
		inserted:  map[int][]instructions.Command{},
	}
	target = len(stages) - 1
	if opts.Stage != "" {
		var ok bool
		if target, ok = g.stage(opts.Stage, len(stages)); !ok {
			return nil, 0, fmt.Errorf("%s:1: no stage is named %q", name, opts.Stage)
		}
	}
	return g, target, g.need(target)
}

var parseError = regexp.MustCompile(`^dockerfile parse error on line (\d+): `)

// located puts the position that BuildKit's error carries in front. Some of
// its errors carry it as a value, others only in their text.
func located(name string, err error) error {
	text := err.Error()
	if match := parseError.FindStringSubmatch(text); match != nil {
		return fmt.Errorf("%s:%s: %s", name, match[1], text[len(match[0]):])
	}
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 {
		return fmt.Errorf("%s:%d: %s", name, line(at.Locations[0]), text)
	}
	return fmt.Errorf("%s:1: %s", name, text)
}

// globals are the arguments before the first FROM, which FROM may use: their
// defaults, overridden by build arguments.
func globals(lex *shell.Lex, metaArgs []instructions.ArgCommand, args map[string]string) shell.EnvGetter {
	env := map[string]string{}
	for _, command := range metaArgs {
		for _, arg := range command.Args {
			if value, ok := args[arg.Key]; ok {
				env[arg.Key] = value
				continue
			}
			if arg.Value == nil {
				continue
			}
			value, _, err := lex.ProcessWord(*arg.Value, shell.EnvsFromSlice(pairs(env)))
			if err != nil {
				value = *arg.Value
			}
			env[arg.Key] = value
		}
	}
	return shell.EnvsFromSlice(pairs(env))
}

func pairs(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	return list
}

// A graph walks from the wanted stage to the images it needs.
type graph struct {
	name   string
	stages []instructions.Stage
	env    shell.EnvGetter
	lex    *shell.Lex
	// inherited is Options.OnBuild, and inserted are the commands that stages run
	// because of it before their own.
	inherited func(image string) []string
	needed    map[int]bool
	inserted  map[int][]instructions.Command
	uses      []Use
}

// stage finds an earlier stage by name or number.
func (g *graph) stage(name string, before int) (int, bool) {
	for i := before - 1; i >= 0; i-- {
		if strings.EqualFold(g.stages[i].Name, name) {
			return i, true
		}
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < before {
		return n, true
	}
	return 0, false
}

func (g *graph) need(index int) error {
	if g.needed[index] {
		return nil
	}
	g.needed[index] = true
	stage := g.stages[index]
	base, _, err := g.lex.ProcessWord(stage.BaseName, g.env)
	if err != nil {
		return fmt.Errorf("%s:%d: FROM %s: %w", g.name, line(stage.Location), stage.BaseName, err)
	}
	if base == "" {
		return fmt.Errorf("%s:%d: FROM %s names no image: declare the argument before the first FROM with a default (ARG NAME=value)", g.name, line(stage.Location), stage.BaseName)
	}
	if err := g.use(base, stage.BaseName, index, stage.Location, true); err != nil {
		return err
	}
	if g.inserted[index], err = g.triggers(index, base); err != nil {
		return err
	}
	for _, command := range stage.Commands {
		for _, from := range sources(command) {
			if err := g.use(from, from, index, command.Location(), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// use follows a reference to an earlier stage, or notes an image.
func (g *graph) use(image, written string, stage int, location []parser.Range, from bool) error {
	if i, ok := g.stage(image, stage); ok && (!from || !isNumber(image)) {
		return g.need(i)
	}
	if image == "scratch" {
		return nil
	}
	g.uses = append(g.uses, Use{Image: image, Line: line(location), endLine: lastLine(location), written: written, from: from})
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// sources are the images or stages that a command other than FROM reads from.
func sources(command instructions.Command) []string {
	switch command := command.(type) {
	case *instructions.CopyCommand:
		if command.From != "" {
			return []string{command.From}
		}
	case *instructions.RunCommand:
		var list []string
		for _, mount := range instructions.GetMounts(command) {
			if mount.From != "" {
				list = append(list, mount.From)
			}
		}
		return list
	}
	return nil
}

// images are the uses in source order; need finds them stage by stage.
func (g *graph) images() []Use {
	sorted := make([]Use, 0, len(g.uses))
	for _, use := range g.uses {
		at := len(sorted)
		for at > 0 && sorted[at-1].Line > use.Line {
			at--
		}
		sorted = append(sorted[:at], append([]Use{use}, sorted[at:]...)...)
	}
	return sorted
}

func line(location []parser.Range) int {
	if len(location) == 0 {
		return 1
	}
	return max(1, location[0].Start.Line)
}

func lastLine(location []parser.Range) int {
	if len(location) == 0 {
		return 1
	}
	return location[len(location)-1].End.Line
}
