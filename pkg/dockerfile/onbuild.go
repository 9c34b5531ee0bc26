package dockerfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// onBuild are the ONBUILD instructions of a stage, without that word.
func onBuild(stage instructions.Stage) []string {
	var list []string
	for _, command := range stage.Commands {
		if trigger, ok := command.(*instructions.OnbuildCommand); ok {
			list = append(list, trigger.Expression)
		}
	}
	return list
}

// triggers are the commands that a stage runs before its own: ONBUILD
// instructions of what it is FROM, an image or an earlier stage.
func (g *graph) triggers(index int, base string) ([]instructions.Command, error) {
	var expressions []string
	if i, ok := g.stage(base, index); ok && !isNumber(base) {
		expressions = onBuild(g.stages[i])
	} else if g.inherited != nil && base != "scratch" {
		expressions = g.inherited(base)
	}
	var commands []instructions.Command
	for _, expression := range expressions {
		command, err := parseTrigger(expression)
		if err == nil {
			err = g.follow(index, command)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s has ONBUILD %s: %w", g.name, line(g.stages[index].Location), base, expression, err)
		}
		commands = append(commands, command)
	}
	return commands, nil
}

// parseTrigger parses an ONBUILD instruction as BuildKit does where it runs it.
func parseTrigger(expression string) (instructions.Command, error) {
	ast, err := parser.Parse(strings.NewReader(expression))
	if err != nil {
		return nil, err
	}
	if len(ast.AST.Children) != 1 {
		return nil, errors.New("not one instruction")
	}
	return instructions.ParseCommand(ast.AST.Children[0])
}

// follow needs the stages that a trigger reads from. An image there stands in
// no Dockerfile of this build, where its digest could be put.
func (g *graph) follow(stage int, trigger instructions.Command) error {
	for _, from := range sources(trigger) {
		if i, ok := g.stage(from, stage); ok {
			if err := g.need(i); err != nil {
				return err
			}
			continue
		}
		if from != "scratch" && !strings.Contains(from, "@") {
			return fmt.Errorf("the digest of %s cannot be locked there: name it with its digest, or let the image itself take what it needs from it", from)
		}
	}
	return nil
}
