package dockerfile

import (
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Everything is the pattern of the whole build context.
const Everything = "."

// reads lists the sources of COPY and ADD and of RUN --mount=type=bind, in the
// stages that are needed.
func (g *graph) reads() []string {
	var patterns []string
	seen := map[string]bool{}
	for i, stage := range g.stages {
		if !g.needed[i] {
			continue
		}
		for _, command := range append(g.inserted[i], stage.Commands...) {
			for _, pattern := range contextSources(command) {
				pattern = clean(pattern)
				if !seen[pattern] {
					seen[pattern] = true
					patterns = append(patterns, pattern)
				}
			}
		}
	}
	return patterns
}

// contextSources are the sources of a command that lie in the build context.
func contextSources(command instructions.Command) []string {
	switch command := command.(type) {
	case *instructions.CopyCommand:
		if command.From == "" {
			return command.SourcePaths
		}
	case *instructions.AddCommand:
		var local []string
		for _, source := range command.SourcePaths {
			if !remote(source) {
				local = append(local, source)
			}
		}
		return local
	case *instructions.RunCommand:
		// Without an expansion the parser leaves most of a mount unread.
		if err := command.Expand(func(word string) (string, error) { return word, nil }); err != nil {
			return []string{Everything}
		}
		var mounted []string
		for _, mount := range instructions.GetMounts(command) {
			if mount.Type == instructions.MountTypeBind && mount.From == "" {
				mounted = append(mounted, mount.Source)
			}
		}
		return mounted
	}
	return nil
}

// remote tells whether a source of ADD is fetched from elsewhere.
func remote(source string) bool {
	for _, prefix := range []string{"http://", "https://", "git://", "git@", "ssh://"} {
		if strings.HasPrefix(source, prefix) {
			return true
		}
	}
	return false
}

// clean makes a source relative to the context's root. A context cannot be
// left: "../x" is "x".
func clean(source string) string {
	if strings.Contains(source, "$") {
		return Everything
	}
	pattern := strings.TrimPrefix(path.Clean("/"+source), "/")
	if pattern == "" {
		return Everything
	}
	return pattern
}
