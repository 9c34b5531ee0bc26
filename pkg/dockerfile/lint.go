package dockerfile

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
)

// A Warning is something in a Dockerfile that builds, and that its author likely
// did not mean.
type Warning struct {
	// Rule is BuildKit's name of the rule ("StageNameCasing"), or one of this
	// package's.
	Rule string
	// Line is 1-based.
	Line int
	// Message says what is wrong.
	Message string
}

// Rules that BuildKit does not have.
const (
	RuleRoot   = "Root"
	RuleAddURL = "AddURL"
	RuleCRLF   = "CRLF"
)

// Lint says what may be wrong in a Dockerfile that converts: what BuildKit's own
// linter knows, and the rules of this package; and what it comes to. Of one that does
// not convert it says nothing, and there is no conversion. Options.Images tells what is known of images, as for Convert; of base
// images that are not known no user and no variables are.
func Lint(ctx context.Context, source []byte, opts Options) ([]Warning, *Conversion, error) {
	var unknown atomic.Bool
	images := opts.Images
	opts.Images = func(ctx context.Context, image, platform string) (baseimage.Config, bool, error) {
		config, known, err := images(ctx, image, platform)
		if !known {
			unknown.Store(true)
		}
		return config, true, err
	}
	converted, err := Convert(ctx, source, opts)
	if err != nil {
		return nil, nil, nil
	}
	convertible, err := opts.convertible(source, &resolver{images: opts.Images})
	if err != nil {
		return nil, nil, err
	}
	convertible.SourceMap.Definition = &llb.Definition{} // the results would have it
	results, err := dockerfile2llb.DockerfileLint(ctx, source, convertible)
	if err != nil {
		return nil, nil, fmt.Errorf("linting %s: %w", opts.Name, err)
	}
	var warnings []Warning
	for _, w := range results.Warnings {
		if w.RuleName == linter.RuleUndefinedVar.Name && unknown.Load() {
			continue // the base image may set it
		}
		warning := Warning{Rule: w.RuleName, Message: w.Detail, Line: 1}
		if ranges := w.Location.GetRanges(); len(ranges) > 0 {
			warning.Line = max(1, int(ranges[0].GetStart().GetLine()))
		}
		warnings = append(warnings, warning)
	}
	if i := bytes.Index(source, []byte("\r\n")); i >= 0 {
		warnings = append(warnings, Warning{Rule: RuleCRLF, Line: 1 + bytes.Count(source[:i], []byte("\n")), Message: "its lines end in CRLF: a shell takes the CR of a here-document for part of the line"})
	}
	stages, err := parse(source)
	if err != nil {
		return nil, nil, fmt.Errorf("linting %s: %w", opts.Name, err)
	}
	return append(warnings, lintStages(stages, opts.Stage, converted.Config.User)...), converted, nil
}

func parse(source []byte) ([]instructions.Stage, error) {
	parsed, err := parser.Parse(bytes.NewReader(source))
	if err != nil {
		return nil, err
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	return stages, err
}

// lintStages holds stages against the rules of this package.
func lintStages(stages []instructions.Stage, wanted, user string) []Warning {
	var warnings []Warning
	final := len(stages) - 1
	if i, ok := instructions.HasStage(stages, wanted); ok && wanted != "" {
		final = i
	}
	for _, stage := range stages {
		for _, command := range stage.Commands {
			if add, ok := command.(*instructions.AddCommand); ok && add.Checksum == "" {
				warnings = append(warnings, remote(add)...)
			}
		}
	}
	if name, _, _ := strings.Cut(user, ":"); name == "" || name == "root" || name == "0" {
		line, message := lineOf(stages[final].Location), "sets no USER: the image runs as what "+stages[final].BaseName+" says, which mostly is root"
		if stages[final].BaseName == "scratch" {
			message = "sets no USER: the image runs as root"
		}
		for _, command := range stages[final].Commands {
			if set, ok := command.(*instructions.UserCommand); ok {
				line, message = lineOf(set.Location()), "USER "+set.User+": functions are run as UID 1000, and the image should not need more"
			}
		}
		warnings = append(warnings, Warning{Rule: RuleRoot, Line: line, Message: message})
	}
	return warnings
}

// remote warns of what ADD fetches without saying what it is to be.
func remote(add *instructions.AddCommand) []Warning {
	var warnings []Warning
	for _, source := range add.SourcePaths {
		switch {
		case strings.HasPrefix(source, "http://"), strings.HasPrefix(source, "https://"):
			warnings = append(warnings, Warning{Rule: RuleAddURL, Line: lineOf(add.Location()), Message: fmt.Sprintf("ADD %s takes what is there on the day of the build, and makes nothing stale when that changes: add --checksum=sha256:…", source)})
		case strings.HasPrefix(source, "git@") || strings.HasPrefix(source, "git://"):
			warnings = append(warnings, Warning{Rule: RuleAddURL, Line: lineOf(add.Location()), Message: fmt.Sprintf("ADD %s takes what is there on the day of the build, and makes nothing stale when that changes: name a commit, and add --checksum=COMMIT", source)})
		}
	}
	return warnings
}

func lineOf(location []parser.Range) int {
	if len(location) == 0 {
		return 1
	}
	return max(1, location[0].Start.Line)
}
