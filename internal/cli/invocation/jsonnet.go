package invocation

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// JsonnetFlags are those of the jsonnet command that say what a document is
// evaluated with.
type JsonnetFlags struct {
	paths []string
	// variables are the flags' values, by the flags' names.
	variables map[string]*[]string
}

// jsonnetPathVariable lists library folders for jsonnet and for rtbuild.
const jsonnetPathVariable = "JSONNET_PATH"

// vendorFolder is where jsonnet-bundler puts libraries, below the root.
const vendorFolder = "vendor"

// variableKind is a flag for variables, and the key for it in rtbuild.yaml.
type variableKind struct {
	flag, shorthand, usage string
	set                    func(*config.Jsonnet) map[string]string
	make                   jsonnet.Variable
}

func variableKinds() []variableKind {
	return []variableKind{
		{"ext-str", "V", "Jsonnet external variable: the string `VAR[=VALUE]`, without a value that of the environment; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.ExtStr }, jsonnet.Variable{}},
		{"ext-code", "", "Jsonnet external variable: code, `VAR[=CODE]`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.ExtCode }, jsonnet.Variable{Code: true}},
		{"ext-str-file", "", "Jsonnet external variable: the string in a file, `VAR=FILE`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.ExtStrFile }, jsonnet.Variable{File: true}},
		{"ext-code-file", "", "Jsonnet external variable: the code in a file, `VAR=FILE`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.ExtCodeFile }, jsonnet.Variable{Code: true, File: true}},
		{"tla-str", "A", "argument of a root document that is a function: the string `VAR[=VALUE]`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.TLAStr }, jsonnet.Variable{Argument: true}},
		{"tla-code", "", "argument of the root document: code, `VAR[=CODE]`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.TLACode }, jsonnet.Variable{Argument: true, Code: true}},
		{"tla-str-file", "", "argument of the root document: the string in a file, `VAR=FILE`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.TLAStrFile }, jsonnet.Variable{Argument: true, File: true}},
		{"tla-code-file", "", "argument of the root document: the code in a file, `VAR=FILE`; may be repeated",
			func(c *config.Jsonnet) map[string]string { return c.TLACodeFile }, jsonnet.Variable{Argument: true, Code: true, File: true}},
	}
}

func (f *JsonnetFlags) flags(set *pflag.FlagSet) {
	set.StringArrayVarP(&f.paths, "jpath", "J", nil, "look for Jsonnet libraries in `FOLDER`, may be repeated, the last one first; then in JSONNET_PATH, then in vendor/")
	if f.variables == nil {
		f.variables = map[string]*[]string{}
	}
	for _, kind := range variableKinds() {
		if f.variables[kind.flag] == nil {
			f.variables[kind.flag] = new([]string)
		}
		set.StringArrayVarP(f.variables[kind.flag], kind.flag, kind.shorthand, nil, kind.usage)
	}
}

// Evaluator makes the evaluator of the tree at root, which is this one or an
// older state of it, with its own settings c: libraries of this tree are looked
// for in that state first.
func (i *Invocation) Evaluator(root string, c *config.Config) (provenance.Evaluator, error) {
	paths, err := i.libraryPaths(root, c)
	if err != nil {
		return nil, err
	}
	variables, err := i.variables(root, c)
	if err != nil {
		return nil, err
	}
	ev, err := jsonnet.New(paths...).With(variables...)
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	return ev, nil
}

// libraryPaths are the folders to look for libraries in, the first one first.
func (i *Invocation) libraryPaths(root string, c *config.Config) ([]string, error) {
	var paths []string
	given := slices.Clone(i.Flags.Jsonnet.paths)
	if len(given) == 0 {
		for _, path := range slices.Backward(c.Jsonnet.JPath) {
			paths = append(paths, fromRoot(root, path))
		}
	}
	slices.Reverse(given)
	if list, ok := i.LookupEnv(jsonnetPathVariable); ok {
		given = append(given, filepath.SplitList(list)...)
	}
	for _, path := range given {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, Usagef("--jpath %s: %v", path, err)
		}
		if within, err := filepath.Rel(i.Root, absolute); err == nil && root != i.Root && filepath.IsLocal(within) {
			paths = append(paths, filepath.Join(root, within))
		}
		paths = append(paths, absolute)
	}
	paths = append(paths, filepath.Join(root, vendorFolder))
	if root != i.Root {
		// It may be left out of the repository: jsonnet-bundler fills it.
		paths = append(paths, filepath.Join(i.Root, vendorFolder))
	}
	return paths, nil
}

func fromRoot(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// variables are those of the settings, and those of flags, which win.
func (i *Invocation) variables(root string, c *config.Config) ([]jsonnet.Variable, error) {
	type key struct {
		name     string
		argument bool
	}
	var variables []jsonnet.Variable
	given := map[key]string{}
	for _, kind := range variableKinds() {
		for _, text := range *i.Flags.Jsonnet.variables[kind.flag] {
			v := kind.make
			var hasValue bool
			if v.Name, v.Text, hasValue = strings.Cut(text, "="); !hasValue && !v.File {
				v.Text, hasValue = i.LookupEnv(v.Name)
			}
			switch {
			case v.Name == "" || !hasValue && v.File:
				return nil, Usagef("--%s %q: write VAR=…", kind.flag, text)
			case !hasValue:
				return nil, Usagef("--%s %s: the environment has no variable %s; write %s=…", kind.flag, text, v.Name, v.Name)
			}
			other, twice := given[key{v.Name, v.Argument}]
			if twice && other != kind.flag {
				return nil, Usagef("--%s and --%s both set %s", other, kind.flag, v.Name)
			}
			if twice {
				variables = slices.DeleteFunc(variables, func(o jsonnet.Variable) bool { return o.Name == v.Name && o.Argument == v.Argument })
			}
			given[key{v.Name, v.Argument}] = kind.flag
			variables = append(variables, v)
		}
	}
	for _, kind := range variableKinds() {
		values := kind.set(&c.Jsonnet)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			v := kind.make
			v.Name, v.Text = name, values[name]
			if v.File {
				v.Text = fromRoot(root, v.Text)
			}
			if _, ok := given[key{name, v.Argument}]; !ok {
				variables = append(variables, v)
			}
		}
	}
	return variables, nil
}
