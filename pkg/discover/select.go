package discover

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Selection is what the arguments of a command name.
type Selection struct {
	// Targets are built, even those of Dockerfiles whose image nothing uses.
	Targets []*Target
	// Undecided are Dockerfiles that are not.
	Undecided []Undecided
	// Usages are the images that the targets make, and those of the runtimes and
	// versions that are named, wherever they come from.
	Usages []Usage
}

// Find finds what the arguments of a command name. An argument is a runtime
// ("python"), a runtime and version ("python:3.13"), a runtime folder
// ("stable/python"), a target's name ("python-init:3.13"), a repository with or
// without tag ("kubeless/python:3.13"), or a Dockerfile
// ("stable/python/Dockerfile.3.13"), or several of those with commas between
// them. No arguments name all that the manifests do. An argument that names
// nothing is an *UnknownNameError.
func (d *Discovery) Find(args []string) (Selection, error) {
	if len(args) == 0 {
		return Selection{Targets: d.Targets, Undecided: d.Undecided, Usages: d.Usages}, nil
	}
	args = d.Arguments(args)
	for i, arg := range args {
		args[i] = trimmed(arg)
	}
	known := map[string]bool{}
	named := func(matches func(arg string) bool) bool {
		found := false
		for _, arg := range args {
			if matches(arg) {
				known[arg], found = true, true
			}
		}
		return found
	}
	var s Selection
	chosen := map[string]bool{}
	for _, t := range slices.Concat(d.Targets, d.Unused) {
		if named(t.matches) {
			s.Targets, chosen[t.Name] = append(s.Targets, t), true
		}
	}
	for _, u := range d.Undecided {
		if named(u.matches) {
			s.Undecided = append(s.Undecided, u)
		}
	}
	for _, u := range d.Usages {
		if named(u.matches) || u.Target != "" && chosen[u.Target] {
			s.Usages = append(s.Usages, u)
		}
	}
	for _, arg := range args {
		if !known[arg] {
			return Selection{}, &UnknownNameError{Name: arg, Known: d.names()}
		}
	}
	return s, nil
}

// Arguments takes arguments apart at their commas, as the jobs of a matrix are
// named, except those of Dockerfiles and folders that have some themselves.
func (d *Discovery) Arguments(args []string) []string {
	var parts []string
	for _, arg := range args {
		whole := slices.ContainsFunc(slices.Concat(d.Targets, d.Unused), func(t *Target) bool { return t.matches(arg) })
		if whole {
			parts = append(parts, arg)
			continue
		}
		parts = append(parts, strings.Split(arg, ",")...)
	}
	return parts
}

// Select finds the targets that arguments name, as Find does. An argument that
// names no target is an error, which says so of an undecided Dockerfile.
func (d *Discovery) Select(args []string) ([]*Target, error) {
	for _, arg := range d.Arguments(args) {
		s, err := d.Find([]string{arg})
		switch {
		case err != nil:
			return nil, err
		case len(s.Targets) > 0:
		case len(s.Undecided) > 0:
			return nil, fmt.Errorf("undecided: %s", s.Undecided[0])
		default:
			return nil, fmt.Errorf("%s: no Dockerfile of this tree makes its images; rtbuild list %s says where they come from", arg, arg)
		}
	}
	s, err := d.Find(args)
	return s.Targets, err
}

// Versions are the versions that arguments name, a field for each: those of a
// runtime, that version, and else all that run an image of the targets that the
// argument selects.
func (d *Discovery) Versions(args []string) ([]Field, error) {
	var versions []Field
	add := func(f Field) {
		if !slices.ContainsFunc(versions, func(known Field) bool { return known.Runtime == f.Runtime && known.Version == f.Version }) {
			versions = append(versions, f)
		}
	}
	for _, arg := range d.Arguments(args) {
		arg, found := trimmed(arg), false
		for _, u := range d.Usages {
			if arg != "" && (arg == u.Runtime || arg == u.Runtime+":"+u.Version || arg == u.Folder) {
				add(u.Field)
				found = true
			}
		}
		if found {
			continue
		}
		targets, err := d.Select([]string{arg})
		if err != nil {
			return nil, err
		}
		for _, target := range targets {
			for _, field := range target.UsedBy {
				add(field)
			}
		}
	}
	return versions, nil
}

// trimmed is an argument without what a shell's completion adds to a path.
func trimmed(arg string) string {
	return strings.TrimSuffix(strings.TrimPrefix(arg, "./"), "/")
}

func (t *Target) matches(arg string) bool {
	if arg == t.Name || arg == t.Dockerfile {
		return true
	}
	if t.Repository.Name == "" {
		return false // a Dockerfile whose image nothing uses goes by its path only
	}
	if arg == t.Repository.Name || arg == t.Folder() {
		return true
	}
	for _, tag := range t.Tags {
		if arg == t.Repository.Name+":"+tag || arg == path.Base(t.Repository.Name)+":"+tag {
			return true
		}
	}
	for _, field := range t.UsedBy {
		if arg == field.Runtime || arg == field.Runtime+":"+field.Version {
			return true
		}
	}
	return false
}

func (u Usage) matches(arg string) bool {
	switch arg {
	case u.Runtime, u.Runtime + ":" + u.Version, u.Folder:
		return arg != ""
	case u.Ref.Name, u.Ref.Name + ":" + u.tag(), path.Base(u.Ref.Name) + ":" + u.tag():
		return u.Ref.Name != ""
	}
	return false
}

func (u Undecided) matches(arg string) bool {
	return arg == u.Dockerfile || arg == path.Dir(u.Dockerfile) || slices.ContainsFunc(u.usages, func(u Usage) bool { return u.matches(arg) })
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
