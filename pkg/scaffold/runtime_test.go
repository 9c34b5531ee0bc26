package scaffold_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/scaffold"
)

// lua is the files of a runtime that is copied.
func lua() map[string]string {
	return map[string]string{
		"runtimes.jsonnet": "[import 'stable/lua/lua.jsonnet']\n",
		"stable/lua/lua.jsonnet": `local lua = {
  local version = self,
  name: 'lua' + version.version,
  images: [
    { phase: 'installation', image: version.init, command: 'lua install lua', build:: { args: { VERSION: version.version } } },
    { phase: 'runtime', image: version.image, build:: { args: { VERSION: version.version } } },
  ],
};

{
  ID: 'lua',
  depName: 'lua.rocks',
  fileNameSuffix: '.lua',
  versions: [
    lua { version: '5.3', init:: 'acme/lua-init:5.3<digest>', image:: 'acme/lua:5.3<digest>' },
    // Until it ends.
    lua { version: '5.4', eol:: '2031-01-31', init:: 'acme/lua-init:5.4<digest>', image:: 'acme/lua:5.4<digest>' },
  ],
}
`,
		"stable/lua/Dockerfile":      "FROM debian\nRUN lua acme/lua/x\n",
		"stable/lua/Dockerfile.init": "ARG VERSION\nFROM acme/lua:$VERSION\n",
		"stable/lua/Makefile":        "RUNTIME := lua\nDEPS := lua.rocks\n",
		"stable/lua/README.md":       "# Lua\n\n| | |\n|---|---|\n| `lua5.3` | `acme/lua:5.3` |\n| `lua5.4` | `acme/lua:5.4` | 2031-01-31 |\n\n`rtbuild verify lua` of stable/lua.\n",
		"stable/lua/data":            "\x00acme/lua",
	}
}

// TestCopy makes a runtime of another one: under its own names, with the newest
// version, without pins, and all else as it is.
func TestCopy(t *testing.T) {
	files := lua()
	files["stable/lua/empty/.keep"] = ""
	files["README.md"] = "| [`lua`](stable/lua/README.md) | 5.3, 5.4 | rocks |\n| [`old`](incubator/old/README.md) | 1 | none |\n"
	root := written(t, files)
	if err := os.Symlink("../lua/data", filepath.Join(root, "stable/lua/inside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../runtimes.jsonnet", filepath.Join(root, "stable/lua/empty/outside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "stable/lua/data"), 0o700); err != nil {
		t.Fatal(err)
	}
	changed := changedBy(t, root, func(tree *scaffold.Tree) (*scaffold.Addition, error) {
		return tree.Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: "lua"})
	})
	for name, want := range map[string]string{
		"runtimes.jsonnet": "[import 'stable/lua/lua.jsonnet', import 'incubator/moon/moon.jsonnet']\n",
		"incubator/moon/moon.jsonnet": `local moon = {
  local version = self,
  name: 'moon' + version.version,
  images: [
    { phase: 'installation', image: version.init, command: 'lua install lua', build:: { args: { VERSION: version.version } } },
    { phase: 'runtime', image: version.image, build:: { args: { VERSION: version.version } } },
  ],
};

{
  ID: 'moon',
  depName: 'lua.rocks',
  fileNameSuffix: '.lua',
  versions: [
    moon { version: '5.4', eol:: '2031-01-31', init:: 'acme/moon-init:5.4', image:: 'acme/moon:5.4' },
  ],
}
`,
		"README.md":                      "| [`lua`](stable/lua/README.md) | 5.3, 5.4 | rocks |\n| [`old`](incubator/old/README.md) | 1 | none |\n| [`moon`](incubator/moon/README.md) | 5.4 | rocks |\n",
		"incubator/moon/Dockerfile":      "FROM debian\nRUN lua acme/lua/x\n",
		"incubator/moon/Dockerfile.init": "ARG VERSION\nFROM acme/moon:$VERSION\n",
		"incubator/moon/Makefile":        "RUNTIME := moon\nDEPS := lua.rocks\n",
		"incubator/moon/README.md":       "# Moon\n\n| | |\n|---|---|\n| `moon5.4` | `acme/moon:5.4` | 2031-01-31 |\n\n`rtbuild verify moon` of incubator/moon.\n",
		"incubator/moon/data":            "\x00acme/lua",
		"incubator/moon/empty/.keep":     "",
		"incubator/moon/empty/outside":   "../../../runtimes.jsonnet",
		"incubator/moon/inside":          "data",
	} {
		if got, ok := changed[name]; !ok || got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
		delete(changed, name)
	}
	if len(changed) != 0 {
		t.Errorf("changed are %q, too", changed)
	}
	if info, err := os.Stat(filepath.Join(root, "incubator/moon/data")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("what was executable is %v (%v)", info.Mode(), err)
	}
}

// TestListBlank gives a blank runtime a row in the table of runtimes, behind the last
// one of its suite, without what is said of another one there.
func TestListBlank(t *testing.T) {
	files := lua()
	files["README.md"] = "| runtime | versions | dependencies |\n|---|---|---|\n| [`lua`](stable/lua/README.md) | 5.3, 5.4 | rocks |\n| [`zed`](incubator/zed/README.md) | 1 | zeds |\n\nThe end.\n"
	files["runtimes.jsonnet"] = "[import 'incubator/zed/zed.jsonnet', import 'stable/lua/lua.jsonnet']\n"
	files["incubator/zed/zed.jsonnet"] = `{ ID: 'zed', versions: [{ name: 'z', version: '1', images: [{ phase: 'runtime', image: 'acme/zed:1' }] }] }`
	files["incubator/zed/Dockerfile"] = "FROM debian\n"
	for suite, want := range map[string]string{
		"stable":    "| [`lua`](stable/lua/README.md) | 5.3, 5.4 | rocks |\n| [`moon`](stable/moon/README.md) | 1.0, 1.1 | |\n| [`zed`](incubator/zed/README.md) | 1 | zeds |\n\nThe end.\n",
		"incubator": "| [`lua`](stable/lua/README.md) | 5.3, 5.4 | rocks |\n| [`zed`](incubator/zed/README.md) | 1 | zeds |\n| [`moon`](incubator/moon/README.md) | 1.0, 1.1 | |\n\nThe end.\n",
	} {
		changed := changedBy(t, written(t, files), func(tree *scaffold.Tree) (*scaffold.Addition, error) {
			return tree.Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: scaffold.Blank, Suite: suite, Versions: []string{"1.0", "1.1"}})
		})
		if got := changed["README.md"]; !strings.HasSuffix(got, "|---|---|---|\n"+want) {
			t.Errorf("in %s, the README is\n%s\nwant\n%s", suite, got, want)
		}
	}
}

// TestResume comes to the end of what a run left that was killed: its folder is there,
// with more or less of what belongs to it.
func TestResume(t *testing.T) {
	files := lua()
	files["README.md"] = "| [`lua`](stable/lua/README.md) | 5.3, 5.4 | rocks |\n"
	add := func(tree *scaffold.Tree, from string) (*scaffold.Addition, error) {
		if from == "" {
			return tree.Version(t.Context(), scaffold.VersionOptions{Runtime: "lua", Version: "5.5"})
		}
		return tree.Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: from})
	}
	for _, from := range []string{"lua", scaffold.Blank, ""} {
		whole := written(t, files)
		changed := changedBy(t, whole, func(tree *scaffold.Tree) (*scaffold.Addition, error) { return add(tree, from) })
		for _, missing := range [][]string{{"runtimes.jsonnet", "README.md"}, {"runtimes.jsonnet"}} {
			root := written(t, files)
			for name, text := range changed {
				if slices.Contains(missing, name) || name == "stable/lua/lua.jsonnet" {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if addition, err := add(opened(t, root), from); err != nil || addition.Write(t.Context()) != nil {
				t.Errorf("of %q, without %q: %v", from, missing, err)
			}
			if left := differences(contents(t, whole), contents(t, root)); len(left) != 0 {
				t.Errorf("of %q, without %q: different are %q", from, missing, left)
			}
		}
	}
}

// TestKilledInTheMiddle removes the folder that a run was writing when it was killed.
func TestKilledInTheMiddle(t *testing.T) {
	files := lua()
	files["incubator/.moon.rtbuild-123/Dockerfile"] = "FROM deb"
	changed := changedBy(t, written(t, files), func(tree *scaffold.Tree) (*scaffold.Addition, error) {
		return tree.Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: scaffold.Blank})
	})
	if text, ok := changed["incubator/.moon.rtbuild-123/Dockerfile"]; !ok || text != "" {
		t.Errorf("what was left is there: %q", changed)
	}
}

// TestCopyVersions makes the versions that are asked for of the newest one.
func TestCopyVersions(t *testing.T) {
	root := written(t, lua())
	addition, err := opened(t, root).Runtime(t.Context(), scaffold.RuntimeOptions{Name: "for", From: "lua", Suite: "stable", Versions: []string{"1", "2.0"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := addition.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := contents(t, root)
	if want := "[import 'stable/for/for.jsonnet', import 'stable/lua/lua.jsonnet']\n"; after["runtimes.jsonnet"] != want {
		t.Errorf("the root document is %s", after["runtimes.jsonnet"])
	}
	want := `  versions: [
    lua { version: '1', init:: 'acme/for-init:1', image:: 'acme/for:1' },
    lua { version: '2.0', init:: 'acme/for-init:2.0', image:: 'acme/for:2.0' },
  ],
`
	if got := after["stable/for/for.jsonnet"]; !strings.Contains(got, want) || !strings.Contains(got, "ID: 'for'") {
		t.Errorf("the manifest is\n%s", got)
	}
	if want := "| `for1` | `acme/for:1` | - |\n| `for2.0` | `acme/for:2.0` | - |\n"; !strings.Contains(after["stable/for/README.md"], want) {
		t.Errorf("the README is\n%s", after["stable/for/README.md"])
	}
}

// TestImport adds a runtime to root documents that are written in different ways.
func TestImport(t *testing.T) {
	for name, test := range map[string]struct {
		files  map[string]string
		suite  string
		file   string
		before string
		after  string
	}{
		"in order, below a comment": {
			file:   "runtimes.jsonnet",
			before: "[\n  // Stable\n  (import \"stable/lua/lua.jsonnet\"),  // first\n  // Incubator\n  (import \"incubator/zed/zed.jsonnet\"),\n]\n",
			after:  "[\n  // Stable\n  (import \"stable/lua/lua.jsonnet\"),  // first\n  // Incubator\n  (import \"incubator/moon/moon.jsonnet\"),\n  (import \"incubator/zed/zed.jsonnet\"),\n]\n",
		},
		"without a comma at the end": {
			file: "runtimes.jsonnet", suite: "stable",
			before: "[\n\timport 'incubator/zed/zed.jsonnet',\n\timport 'stable/lua/lua.jsonnet'  // last\n]\n",
			after:  "[\n\timport 'incubator/zed/zed.jsonnet',\n\timport 'stable/lua/lua.jsonnet',  // last\n\timport 'stable/moon/moon.jsonnet',\n]\n",
		},
		"one list for each folder, with more on top": {
			file:   "runtimes.jsonnet",
			before: "local stable = [import 'stable/lua/lua.jsonnet'];\nlocal incubator = [import 'incubator/zed/zed.jsonnet'];\n[r { livenessProbeInfo: { timeoutSeconds: std.length(r.ID) } } for r in stable + incubator]\n",
			after:  "local stable = [import 'stable/lua/lua.jsonnet'];\nlocal incubator = [import 'incubator/moon/moon.jsonnet', import 'incubator/zed/zed.jsonnet'];\n[r { livenessProbeInfo: { timeoutSeconds: std.length(r.ID) } } for r in stable + incubator]\n",
		},
		"a list in another file": {
			files:  map[string]string{"runtimes.jsonnet": "import 'conf/all.libsonnet'\n"},
			file:   "conf/all.libsonnet",
			before: "[\n  import '../stable/lua/lua.jsonnet',\n  import '../incubator/zed/zed.jsonnet',\n]\n",
			after:  "[\n  import '../stable/lua/lua.jsonnet',\n  import '../incubator/moon/moon.jsonnet',\n  import '../incubator/zed/zed.jsonnet',\n]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := lua()
			files["incubator/zed/zed.jsonnet"] = `{ ID: 'zed', versions: [{ name: 'z', version: '1', images: [{ phase: 'runtime', image: 'acme/zed:1' }] }] }`
			files["incubator/zed/Dockerfile"] = "FROM debian\n"
			for file, text := range test.files {
				files[file] = text
			}
			files[test.file] = test.before
			root := written(t, files)
			tree := opened(t, root)
			addition, err := tree.Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: scaffold.Blank, Suite: test.suite})
			if err != nil {
				t.Fatal(err)
			}
			if err := addition.Write(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, root)[test.file]; got != test.after {
				t.Errorf("%s is\n%s\nwant\n%s", test.file, got, test.after)
			}
		})
	}
}

// TestImportFirst adds the first runtime of all.
func TestImportFirst(t *testing.T) {
	root := written(t, map[string]string{"runtimes.jsonnet": "[]\n"})
	addition, err := opened(t, root).Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: scaffold.Blank, Versions: []string{"1.0", "1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := addition.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Findings) != 0 || len(tree.Runtimes) != 1 || len(tree.Runtimes[0].Versions) != 2 || tree.Runtimes[0].ID != "moon" {
		t.Errorf("the tree is %+v", tree)
	}
}

// TestImportRefused wants a root document without a list to be an error that says
// what to add, and NoImport to write all the same.
func TestImportRefused(t *testing.T) {
	files := lua()
	files["runtimes.jsonnet"] = "local lua = import 'stable/lua/lua.jsonnet';\n[lua for n in std.range(1, 1)]\n"
	root := written(t, files)
	options := scaffold.RuntimeOptions{Name: "moon", From: "lua"}
	_, err := opened(t, root).Runtime(t.Context(), options)
	var closed *scaffold.NotExtendedError
	if !errors.As(err, &closed) || closed.Line != "import 'incubator/moon/moon.jsonnet'" || !strings.HasPrefix(err.Error(), root+"/runtimes.jsonnet: no list") {
		t.Fatalf("the error is %v", err)
	}
	options.NoImport = true
	addition, err := opened(t, root).Runtime(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := addition.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if addition.Line != closed.Line || contents(t, root)["incubator/moon/moon.jsonnet"] == "" {
		t.Errorf("the line is %q", addition.Line)
	}
}

// TestRuntimeRefuses wants a name, a version or a template that will not do to be an
// error that says why.
func TestRuntimeRefuses(t *testing.T) {
	files := lua()
	files["incubator/half/Dockerfile"] = "FROM debian\n"
	files["incubator/two/a.jsonnet"] = `{ ID: 'a', versions: [{ name: 'a', version: '1', images: [{ phase: 'runtime', image: 'acme/a:1' }] }] }`
	files["incubator/two/b.jsonnet"] = `{ ID: 'b', versions: [{ name: 'b', version: '1', images: [{ phase: 'runtime', image: 'acme/b:1<digest>' }] }] }`
	files["incubator/two/Dockerfile"] = "FROM debian\n"
	files["stable/pot/pot.jsonnet"] = `{ ID: 'pot', versions: [{ name: 'p', version: '1', images: [{ phase: 'runtime', image: 'acme/tin:1' }] }] }`
	files["stable/pot/Dockerfile"] = "FROM debian\n"
	files["runtimes.jsonnet"] = `[import 'stable/lua/lua.jsonnet', import 'incubator/two/a.jsonnet', import 'incubator/two/b.jsonnet', import 'stable/pot/pot.jsonnet',
  { ID: 'inline', versions: [{ name: 'b', version: '1', images: [{ phase: 'runtime', image: 'other/b:1<digest>' }] }] },
]`
	root := written(t, files)
	before := contents(t, root)
	for name, test := range map[string]struct {
		options scaffold.RuntimeOptions
		message string
	}{
		"upper case":         {scaffold.RuntimeOptions{Name: "Moon"}, `"Moon" cannot be a runtime's name`},
		"a digit":            {scaffold.RuntimeOptions{Name: "moon2"}, `"moon2" cannot be a runtime's name`},
		"too long":           {scaffold.RuntimeOptions{Name: strings.Repeat("a", 41)}, "cannot be a runtime's name"},
		"taken":              {scaffold.RuntimeOptions{Name: "lua"}, "there is a runtime lua already, in stable/lua/lua.jsonnet"},
		"a folder":           {scaffold.RuntimeOptions{Name: "half", From: scaffold.Blank}, "(incubator/half/.dockerignore differs), so that it stays as it is. If it is to be the runtime, add to runtimes.jsonnet: import 'incubator/half/half.jsonnet'; else remove it"},
		"in another suite":   {scaffold.RuntimeOptions{Name: "half", From: scaffold.Blank, Suite: "stable"}, "incubator/half is there already, and no runtime of that name: rtbuild check says"},
		"no suite":           {scaffold.RuntimeOptions{Name: "moon", Suite: "stabel"}, `runtimes are in stable, incubator, and not in "stabel"; did you mean stable?`},
		"no version":         {scaffold.RuntimeOptions{Name: "moon", Versions: []string{"v1"}}, `"v1" is not a version`},
		"twice":              {scaffold.RuntimeOptions{Name: "moon", Versions: []string{"1", "1"}}, "version 1 is named twice"},
		"no template":        {scaffold.RuntimeOptions{Name: "moon", From: "luaa"}, `there is no runtime "luaa" to copy; did you mean lua?`},
		"two in one folder":  {scaffold.RuntimeOptions{Name: "moon", From: "a"}, "its folder incubator/two is that of b, too"},
		"in no folder":       {scaffold.RuntimeOptions{Name: "moon", From: "inline"}, "its manifest is in runtimes.jsonnet"},
		"its image is taken": {scaffold.RuntimeOptions{Name: "tin", From: "lua"}, "acme/tin is the image of another runtime already: choose another name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := opened(t, root).Runtime(t.Context(), test.options)
			var input *scaffold.InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), test.message) {
				t.Errorf("the error is %v, want %q", err, test.message)
			}
		})
	}
	if changed := differences(before, contents(t, root)); len(changed) != 0 {
		t.Errorf("changed are %q", changed)
	}
}

// TestCopyUndone takes back a copy that evaluates to something else than it should:
// the template compares its own ID.
func TestCopyUndone(t *testing.T) {
	files := lua()
	files["stable/lua/lua.jsonnet"] = `{ ID: 'lua', depName: if self.ID == 'lua' then 'rocks' else 'stones', versions: [
  { name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] }] }`
	delete(files, "stable/lua/Dockerfile.init")
	root := written(t, files)
	before := contents(t, root)
	addition, err := opened(t, root).Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: "lua"})
	if err == nil {
		err = addition.Write(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "cannot be copied") {
		t.Errorf("the error is %v", err)
	}
	if changed := differences(before, contents(t, root)); len(changed) != 0 {
		t.Errorf("left are %q", changed)
	}
	if _, err := os.Stat(filepath.Join(root, "incubator")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder incubator is left: %v", err)
	}
}

// TestCopyInterrupted takes back what was written when the command is interrupted.
func TestCopyInterrupted(t *testing.T) {
	root := written(t, lua())
	before := contents(t, root)
	addition, err := opened(t, root).Runtime(t.Context(), scaffold.RuntimeOptions{Name: "moon", From: "lua"})
	if err != nil {
		t.Fatal(err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if err := addition.Write(interrupted); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if changed := differences(before, contents(t, root)); len(changed) != 0 {
		t.Errorf("left are %q", changed)
	}
}
