package discover

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/nearest"
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
// ("python"), a runtime and version ("python:3.13", or "python3.13" as users of
// functions type it), a runtime folder or one that holds some ("stable/python",
// "stable"), a target's name ("python-init:3.13"), a repository with or without tag
// ("kubeless/python:3.13"), or a Dockerfile ("stable/python/Dockerfile.3.13"), or
// several of those with commas between them. Paths are relative to the root or to
// Base. No arguments name all that the manifests do. An argument that names nothing
// is an *UnknownNameError.
func (d *Discovery) Find(args []string) (Selection, error) {
	if len(args) == 0 {
		return Selection{Targets: d.Targets, Undecided: d.Undecided, Usages: d.Usages}, nil
	}
	args = d.Arguments(args)
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
			names := d.names(arg)
			if len(names) == 0 {
				return Selection{}, &UnknownNameError{Name: arg, Near: ": this tree builds nothing"}
			}
			return Selection{}, &UnknownNameError{Name: arg, Near: nearest.Question(arg, names)}
		}
	}
	return s, nil
}

// Arguments takes arguments apart at their commas, as the jobs of a matrix are
// named, except those of Dockerfiles and folders that have some themselves. Paths
// are then relative to the root.
func (d *Discovery) Arguments(args []string) []string {
	var parts []string
	for _, arg := range args {
		if whole := d.resolve(arg); d.knows(whole) {
			parts = append(parts, whole)
			continue
		}
		for part := range strings.SplitSeq(arg, ",") {
			parts = append(parts, d.resolve(part))
		}
	}
	return parts
}

// resolve is an argument as the root has it: what names nothing there may be a path
// from Base.
func (d *Discovery) resolve(arg string) string {
	if arg == "" {
		return ""
	}
	whole := path.Clean(arg) // a shell's completion adds slashes
	if from := path.Join(d.Base, whole); !d.knows(whole) && d.knows(from) || whole == "." {
		return from
	}
	return whole
}

// knows tells whether an argument names something.
func (d *Discovery) knows(arg string) bool {
	return slices.ContainsFunc(slices.Concat(d.Targets, d.Unused), func(t *Target) bool { return t.matches(arg) }) ||
		slices.ContainsFunc(d.Undecided, func(u Undecided) bool { return u.matches(arg) }) ||
		slices.ContainsFunc(d.Usages, func(u Usage) bool { return u.matches(arg) })
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
		found := false
		for _, u := range d.Usages {
			if u.named(arg) || under(u.Folder, arg) {
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

// under tells whether a path is folder or lies in it.
func under(name, folder string) bool {
	return folder == "." || folder != "" && (name == folder || strings.HasPrefix(name, folder+"/"))
}

func (t *Target) matches(arg string) bool {
	if arg == t.Name || arg == t.Dockerfile {
		return true
	}
	if t.Repository.Name == "" {
		return false // a Dockerfile whose image nothing uses goes by its path only
	}
	if arg == t.Repository.Name || under(t.Dockerfile, arg) {
		return true
	}
	for _, tag := range t.Tags {
		if arg == t.Repository.Name+":"+tag || arg == path.Base(t.Repository.Name)+":"+tag {
			return true
		}
	}
	return slices.ContainsFunc(t.UsedBy, func(field Field) bool { return field.named(arg) })
}

// named tells whether an argument is the field's runtime, or that and its version.
func (f Field) named(arg string) bool {
	return arg != "" && (arg == f.Runtime || arg == f.Runtime+":"+f.Version || arg == f.Runtime+f.Version)
}

func (u Usage) matches(arg string) bool {
	if u.named(arg) || under(u.Folder, arg) {
		return true
	}
	switch arg {
	case u.Ref.Name, u.Ref.Name + ":" + u.tag(), path.Base(u.Ref.Name) + ":" + u.tag():
		return u.Ref.Name != ""
	}
	return false
}

func (u Undecided) matches(arg string) bool {
	return under(u.Dockerfile, arg) || slices.ContainsFunc(u.usages, func(u Usage) bool { return u.matches(arg) })
}

// names are what an argument may have meant: names of its own form.
func (d *Discovery) names(arg string) []string {
	var names []string
	for _, u := range d.Usages {
		version := u.Runtime + u.Version
		if strings.Contains(arg, ":") {
			version = u.Runtime + ":" + u.Version
		}
		names = append(names, u.Runtime, version, u.Folder)
	}
	for _, t := range slices.Concat(d.Targets, d.Unused) {
		names = append(names, t.Name, t.Dockerfile)
		if strings.Contains(arg, "/") {
			names = append(names, t.Repository.Name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// An UnknownNameError is an argument that names no runtime and no target.
type UnknownNameError struct {
	Name string
	// Near asks whether a known name was meant; empty where none is near.
	Near string
}

func (e *UnknownNameError) Error() string {
	near := e.Near
	if near == "" {
		near = "; rtbuild list shows what there is"
	}
	return fmt.Sprintf("no runtime or target is named %q%s", e.Name, near)
}
