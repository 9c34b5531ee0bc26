package build

import (
	"fmt"
	"path"
	"strings"
)

// Select finds the targets that the arguments of a command name. An argument
// is a runtime ("python"), a runtime and version ("python:3.13"), a runtime
// folder ("stable/python"), a target's name ("python-init:3.13"), a repository
// with or without tag ("kubeless/python:3.13"), or a Dockerfile
// ("stable/python/Dockerfile.3.13"). What an argument names is built, even a
// Dockerfile that feeds nothing; no arguments name all targets that feed
// something. An argument that names nothing is an error, and so is one that
// names an undecided Dockerfile.
func (d *Discovery) Select(args []string) ([]*Target, error) {
	if len(args) == 0 {
		return d.Targets, nil
	}
	selected := map[string]bool{}
	for _, arg := range args {
		arg = strings.TrimSuffix(strings.TrimPrefix(arg, "./"), "/")
		found := false
		for _, t := range append(d.Targets[:len(d.Targets):len(d.Targets)], d.Unused...) {
			if t.matches(arg) {
				selected[t.Name], found = true, true
			}
		}
		if found {
			continue
		}
		for _, u := range d.Undecided {
			if u.Dockerfile == arg || path.Dir(u.Dockerfile) == arg {
				return nil, fmt.Errorf("undecided: %s", u)
			}
		}
		return nil, &UnknownNameError{Name: arg, Known: d.names()}
	}
	var targets []*Target
	for _, t := range append(d.Targets[:len(d.Targets):len(d.Targets)], d.Unused...) {
		if selected[t.Name] {
			targets = append(targets, t)
		}
	}
	return targets, nil
}

func (t *Target) matches(arg string) bool {
	if arg == t.Name || arg == t.Dockerfile {
		return true
	}
	if t.Repository.Name == "" {
		return false // a Dockerfile that feeds nothing goes by its path only
	}
	if arg == t.Repository.Name || arg == t.Folder() {
		return true
	}
	for _, tag := range t.Tags {
		if arg == t.Repository.Name+":"+tag || arg == path.Base(t.Repository.Name)+":"+tag {
			return true
		}
	}
	for _, feed := range t.Feeds {
		if arg == feed.Runtime || arg == feed.Runtime+":"+feed.Version {
			return true
		}
	}
	return false
}

func (d *Discovery) names() []string {
	var names []string
	seen := map[string]bool{}
	for _, u := range d.Usages {
		if u.Runtime != "" && !seen[u.Runtime] {
			seen[u.Runtime] = true
			names = append(names, u.Runtime)
		}
	}
	for _, t := range d.Targets {
		names = append(names, t.Name)
	}
	return names
}

// An UnknownNameError is an argument that names no runtime and no target.
type UnknownNameError struct {
	Name string
	// Known are the names of all runtimes and targets.
	Known []string
}

func (e *UnknownNameError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("no runtime or target is named %q: this tree builds nothing", e.Name)
	}
	return fmt.Sprintf("no runtime or target is named %q; there are: %s", e.Name, strings.Join(e.Known, ", "))
}
