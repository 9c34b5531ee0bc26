package check

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/nearest"
)

// Ignore leaves out the warnings that the settings of the tree at root ignore, and
// adds findings about entries there that ignore nothing. Errors cannot be ignored: a
// release would end at them.
func Ignore(root string, findings []manifest.Finding, entries []config.Ignore) []manifest.Finding {
	used := make([]bool, len(entries))
	var kept []manifest.Finding
	for _, f := range findings {
		ignored := false
		for i, entry := range entries {
			if f.Severity == isWarning && string(f.Rule) == entry.Rule && covers(entry.Path, relative(root, f.Position.File)) {
				used[i], ignored = true, true
			}
		}
		if !ignored {
			kept = append(kept, f)
		}
	}
	for i, entry := range entries {
		if !used[i] {
			kept = append(kept, manifest.Finding{
				Severity: isWarning, Rule: RuleUnusedIgnore, Position: place(root, config.FileName, 0),
				Message: fmt.Sprintf("check.ignore[%d]: %s", i, unused(entry)),
			})
		}
	}
	return kept
}

// covers tells whether a file is the path or lies under it; without a path all do.
func covers(path, file string) bool {
	path = strings.TrimSuffix(filepath.ToSlash(path), "/")
	return path == "" || path == "." || file == path || strings.HasPrefix(file, path+"/")
}

// unused says why an entry ignores nothing.
func unused(entry config.Ignore) string {
	rule, ok := named(manifest.Rule(entry.Rule))
	switch {
	case !ok:
		var names []string
		for _, rule := range Rules() {
			names = append(names, string(rule.Name))
		}
		return fmt.Sprintf("there is no rule %q%s", entry.Rule, nearest.Question(entry.Rule, names))
	case rule.Severity == isError:
		return fmt.Sprintf("findings of the rule %s are errors, which a release does not go past: they cannot be ignored", entry.Rule)
	case entry.Path != "":
		return fmt.Sprintf("nothing of the rule %s is found in %s any more: drop the entry", entry.Rule, entry.Path)
	}
	return fmt.Sprintf("nothing of the rule %s is found any more: drop the entry", entry.Rule)
}
