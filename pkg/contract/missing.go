package contract

import (
	"os"
	"slices"
	"strings"
)

// MissingFunctions are the files that the contract folder lacks for the checks that
// the runtime does not skip.
func (s Subject) MissingFunctions() []string {
	said, err := readSettings(s.Functions)
	if err != nil {
		return nil // verify says so
	}
	needed := []string{"contract"}
	for _, f := range []struct{ file, check string }{{"slowstart", "health-loading"}, {"fails", "load-error"}, {"broken", "syntax-error"}} {
		if _, skipped := said.Skip[f.check]; !skipped {
			needed = append(needed, f.file)
		}
	}
	return s.missing(s.Functions, needed)
}

// MissingExamples are the files that the folder of examples lacks: the three
// examples, and the dependency file.
func (s Subject) MissingExamples() []string {
	needed := []string{"helloget", "hellowithdata"}
	if s.DepName == "" {
		return s.missing(s.Examples, needed)
	}
	missing := s.missing(s.Examples, append(needed, "hellowithdeps"))
	if !holds(s.Examples, s.DepName) {
		missing = append(missing, s.DepName)
	}
	return missing
}

// missing are those files of modules that a folder lacks.
func (s Subject) missing(folder string, modules []string) []string {
	var missing []string
	for _, module := range modules {
		if file := module + s.FileNameSuffix; !holds(folder, file) {
			missing = append(missing, file)
		}
	}
	return missing
}

// holds tells whether a folder has a file of that name, whatever the case.
func holds(folder, file string) bool {
	entries, err := os.ReadDir(folder)
	return err == nil && slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return strings.EqualFold(entry.Name(), file) })
}
