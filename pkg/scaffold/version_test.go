package scaffold_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/scaffold"
)

// TestVersion adds a version to manifests that are written in different ways.
func TestVersion(t *testing.T) {
	for name, test := range map[string]struct {
		before, after string
		options       scaffold.VersionOptions
	}{
		"plain, pinned": {
			`{
  ID: 'lua',
  versions: [
    {
      name: 'lua53',
      version: '5.3',
      images: [{ phase: 'runtime', image: 'acme/lua:5.3<digest>', env: { LUA: '/usr/bin/lua5.3', SIZE: '15.3' } }],
    },
  ],
}
`, `{
  ID: 'lua',
  versions: [
    {
      name: 'lua53',
      version: '5.3',
      images: [{ phase: 'runtime', image: 'acme/lua:5.3<digest>', env: { LUA: '/usr/bin/lua5.3', SIZE: '15.3' } }],
    },
    {
      name: 'lua54',
      version: '5.4',
      images: [{ phase: 'runtime', image: 'acme/lua:5.4', env: { LUA: '/usr/bin/lua5.4', SIZE: '15.3' } }],
    },
  ],
}
`, scaffold.VersionOptions{Version: "5.4"}},
		"a template and an end of life": {
			`local lua(v) = { name: 'lua' + v.version, version: v.version, images: [{ phase: 'runtime', image: v.image }] };
{ ID: 'lua', versions: [lua({ version: '8', image: 'acme/lua:8<digest>' })], x:: 1 }
`, `local lua(v) = { name: 'lua' + v.version, version: v.version, images: [{ phase: 'runtime', image: v.image }] };
{ ID: 'lua', versions: [lua({ version: '8', image: 'acme/lua:8<digest>' }), lua({ version: '18', eol:: '2030-01-31', image: 'acme/lua:18' })], x:: 1 }
`, scaffold.VersionOptions{Version: "18", EOL: "2030-01-31"}},
		"from new to old, with comments and without a comma at the end": {
			`{
  ID: 'lua',
  versions: [
    // The newest.
    { name: 'lua54', version: '5.4', eol:: '2031-01-31', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] },  // stays
    // The oldest.
    { name: 'a', version: '5.1', images: [{ phase: 'runtime', image: 'acme/lua:5.1' }] }  // stays, too
  ],
}
`, `{
  ID: 'lua',
  versions: [
    // The newest.
    { name: 'lua54', version: '5.4', eol:: '2031-01-31', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] },  // stays
    // The oldest.
    { name: 'a', version: '5.1', images: [{ phase: 'runtime', image: 'acme/lua:5.1' }] },  // stays, too
    { name: 'lua50', version: '5.0', images: [{ phase: 'runtime', image: 'acme/lua:5.0' }] },
  ],
}
`, scaffold.VersionOptions{Version: "5.0"}},
		"on top of those from new to old": {
			`{
  ID: 'lua',
  versions: [
    {
      name: 'lua5.4', version: '5.4',
      eol:: '2031-01-31',  // https://lua.org
      images: [{ phase: 'runtime', image: 'acme/lua@sha256:` + strings.Repeat("ab", 32) + `' }],
    },
    { name: 'a', version: '5.1', images: [{ phase: 'runtime', image: 'acme/lua:5.1' }] },
  ],
}
`, `{
  ID: 'lua',
  versions: [
    {
      name: 'lua5.5', version: '5.5',
      images: [{ phase: 'runtime', image: 'acme/lua' }],
    },
    {
      name: 'lua5.4', version: '5.4',
      eol:: '2031-01-31',  // https://lua.org
      images: [{ phase: 'runtime', image: 'acme/lua<digest>' }],
    },
    { name: 'a', version: '5.1', images: [{ phase: 'runtime', image: 'acme/lua:5.1' }] },
  ],
}
`, scaffold.VersionOptions{Version: "5.5"}},
		"with fields of other values": {
			`{ ID: 'lua', versions: [
  { name: 'lua8', version: '8', suite:: "bookworm", deep:: { other: 'bookworm' }, images: [{ phase: 'runtime', image: 'acme/lua:8', build:: { args: { SUITE: 'bookworm' } } }] },
] }
`, `{ ID: 'lua', versions: [
  { name: 'lua8', version: '8', suite:: "bookworm", deep:: { other: 'bookworm' }, images: [{ phase: 'runtime', image: 'acme/lua:8', build:: { args: { SUITE: 'bookworm' } } }] },
  { name: 'lua9', version: '9', suite:: "trixie", deep:: { other: 'bookworm' }, images: [{ phase: 'runtime', image: 'acme/lua:9', build:: { args: { SUITE: 'forky' } } }] },
] }
`, scaffold.VersionOptions{Version: "9", Fields: map[string]string{"suite": "trixie", "SUITE": "forky"}}},
		"versions of two lists": {
			`local old = [{ name: 'a', version: '5.1', images: [{ phase: 'runtime', image: 'acme/lua:5.1' }] }];
{ ID: 'lua', versions: old + [{ name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] }] }
`, `local old = [{ name: 'a', version: '5.1', images: [{ phase: 'runtime', image: 'acme/lua:5.1' }] }];
{ ID: 'lua', versions: old + [{ name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] }, { name: 'lua55', version: '5.5', images: [{ phase: 'runtime', image: 'acme/lua:5.5' }] }] }
`, scaffold.VersionOptions{Version: "5.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{
				"runtimes.jsonnet":        "[import 'stable/lua/lua.jsonnet']\n",
				"stable/lua/lua.jsonnet":  test.before,
				"stable/lua/Dockerfile":   "FROM debian\n",
				"stable/lua/contract/c.x": "",
			}
			for ending, convert := range map[string]func(string) string{"LF": strings.Clone, "CRLF": func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }} {
				files["stable/lua/lua.jsonnet"] = convert(test.before)
				root := written(t, files)
				test.options.Runtime = "lua"
				changed := changedBy(t, root, func(tree *scaffold.Tree) (*scaffold.Addition, error) {
					return tree.Version(t.Context(), test.options)
				})
				if got := changed["stable/lua/lua.jsonnet"]; got != convert(test.after) || len(changed) != 1 {
					t.Errorf("with %s, changed are %d files; the manifest is\n%s\nwant\n%s", ending, len(changed), got, test.after)
				}
			}
		})
	}
}

// TestVersionRefuses wants what cannot be done for certain to be an error that says
// where, and nothing to change.
func TestVersionRefuses(t *testing.T) {
	plain := `{ ID: 'lua', versions: [{ name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] }] }`
	for name, test := range map[string]struct {
		manifest string
		options  scaffold.VersionOptions
		input    bool
		message  string
	}{
		"unknown runtime":  {plain, scaffold.VersionOptions{Runtime: "luaa", Version: "5.5"}, true, `no runtime "luaa"; did you mean lua?`},
		"version is there": {plain, scaffold.VersionOptions{Version: "5.4"}, true, "lua has a version 5.4 already: ROOT/stable/lua/lua.jsonnet:1:94"},
		"no version":       {plain, scaffold.VersionOptions{Version: "5.x"}, true, `"5.x" is not a version`},
		"no day":           {plain, scaffold.VersionOptions{Version: "5.5", EOL: "2030-13-01"}, true, `"2030-13-01" is not a day`},
		"computed versions": {
			`{ ID: 'lua', versions: [{ name: 'lua5' + n, version: '5.' + n, images: [{ phase: 'runtime', image: 'acme/lua:5.' + n }] } for n in [3, 4]] }`,
			scaffold.VersionOptions{Version: "5.5"}, false, "add 5.5 by hand",
		},
		"a digest from elsewhere": {
			`local pin = '<digest>';
{ ID: 'lua', versions: [
  { name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: 'acme/lua:5.4' + pin }] },
] }`,
			scaffold.VersionOptions{Version: "5.5"}, false, "lua.jsonnet:3:3: a version made of this one is not all that would change: its image acme/lua:5.5<digest> has a digest",
		},
		"an image from elsewhere": {
			`local image = 'acme/lua:5.4';
{ ID: 'lua', versions: [
  { name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: image }] },
] }`,
			scaffold.VersionOptions{Version: "5.5"}, false, "lua.jsonnet:3:3: a version made of this one is not all that would change: its image acme/lua:5.4 stays",
		},
		"no value":    {plain, scaffold.VersionOptions{Version: "5.5", Fields: map[string]string{"suite": "it's"}}, true, "suite=it's cannot be set"},
		"the version": {plain, scaffold.VersionOptions{Version: "5.5", Fields: map[string]string{"version": "5.6"}}, true, "version=5.6 cannot be set"},
		"no such field": {
			plain, scaffold.VersionOptions{Version: "5.5", Fields: map[string]string{"phases": "x"}}, false,
			"lua.jsonnet:1:25: the version here has no field phases with a string for its value; did you mean phase?",
		},
		"no place for an end of life": {
			`local lua(v) = { name: 'lua' + v, version: v, images: [{ phase: 'runtime', image: 'acme/lua:' + v }] };
{ ID: 'lua', versions: [lua('5.4')] }`,
			scaffold.VersionOptions{Version: "5.5", EOL: "2030-01-31"}, false, "lua.jsonnet:2:25",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := written(t, map[string]string{
				"runtimes.jsonnet":       "[import 'stable/lua/lua.jsonnet']\n",
				"stable/lua/lua.jsonnet": test.manifest,
				"stable/lua/Dockerfile":  "FROM debian\n",
			})
			if test.options.Runtime == "" {
				test.options.Runtime = "lua"
			}
			_, err := opened(t, root).Version(t.Context(), test.options)
			if err == nil {
				t.Fatal("no error")
			}
			message := strings.ReplaceAll(strings.ReplaceAll(err.Error(), root, "ROOT"), digest, "<digest>")
			if !strings.Contains(message, test.message) || strings.Count(message, ".jsonnet:") > 1 {
				t.Errorf("the error is %s, want %q", message, test.message)
			}
			var input *scaffold.InputError
			if errors.As(err, &input) != test.input {
				t.Errorf("it is wrong input: %t", !test.input)
			}
		})
	}
}

// TestVersionFiles copies the Dockerfiles that are of the newest version alone, and
// adds a row to the README's table.
func TestVersionFiles(t *testing.T) {
	root := written(t, map[string]string{
		"README.md":        "| runtime | versions |\n|---|---|\n| [`lua`](stable/lua/README.md) | 5.3, 5.4 |\n",
		"runtimes.jsonnet": "[import 'stable/lua/lua.jsonnet']\n",
		"stable/lua/lua.jsonnet": `{ ID: 'lua', versions: [
  { name: 'lua53', version: '5.3', images: [{ phase: 'runtime', image: 'acme/lua:5.3' }] },
  { name: 'lua54', version: '5.4', eol:: '2031-01-31', images: [
    { phase: 'installation', image: 'acme/lua-init:5.4', command: 'luarocks' },
    { phase: 'runtime', image: 'acme/lua:5.4' },
  ] },
] }`,
		"stable/lua/Dockerfile.5.3":              "FROM debian\n",
		"stable/lua/Dockerfile.5.4":              "FROM lua:5.4\nRUN apt-get install lua5.4=15.4\n",
		"stable/lua/Dockerfile.5.4.dockerignore": "*\n",
		"stable/lua/Dockerfile.init":             "FROM debian\n",
		"stable/lua/README.md":                   "# Lua\n\n| type | image | end |\n|---|---|---|\n| `lua5.3` | `acme/lua:5.3` | - |\n| `lua5.4` | `acme/lua:5.4` luarocks | 2031-01-31 |\n\nText.\n",
	})
	changed := changedBy(t, root, func(tree *scaffold.Tree) (*scaffold.Addition, error) {
		return tree.Version(t.Context(), scaffold.VersionOptions{Runtime: "lua", Version: "5.5", EOL: "2035-01-31", Fields: map[string]string{"command": "rocks"}})
	})
	for name, want := range map[string]string{
		"README.md":                              "| runtime | versions |\n|---|---|\n| [`lua`](stable/lua/README.md) | 5.3, 5.4, 5.5 |\n",
		"stable/lua/Dockerfile.5.5":              "FROM lua:5.5\nRUN apt-get install lua5.5=15.4\n",
		"stable/lua/Dockerfile.5.5.dockerignore": "*\n",
		"stable/lua/README.md":                   "# Lua\n\n| type | image | end |\n|---|---|---|\n| `lua5.3` | `acme/lua:5.3` | - |\n| `lua5.4` | `acme/lua:5.4` luarocks | 2031-01-31 |\n| `lua5.5` | `acme/lua:5.5` rocks | 2035-01-31 |\n\nText.\n",
	} {
		if changed[name] != want {
			t.Errorf("%s is %q, want %q", name, changed[name], want)
		}
	}
	if len(changed) != 5 {
		t.Errorf("changed are %q", changed)
	}
}

// TestVersionUndone has nothing left where the tree is wrong with the version: here,
// another runtime's image is not there yet.
func TestVersionUndone(t *testing.T) {
	root := written(t, map[string]string{
		"runtimes.jsonnet":       "[import 'stable/lua/lua.jsonnet', import 'stable/moon/moon.jsonnet']\n",
		"stable/lua/lua.jsonnet": `{ ID: 'lua', versions: [{ name: 'lua54', version: '5.4', images: [{ phase: 'runtime', image: 'acme/lua:5.4' }] }] }`,
		"stable/lua/Dockerfile":  "FROM debian\n",
		"stable/moon/moon.jsonnet": `{ ID: 'moon', versions: [{ name: 'moon54', version: '5.4', images: [
  { phase: 'installation', image: 'acme/lua-init:5.4', command: 'x' }, { phase: 'runtime', image: 'acme/moon:5.4' }] }] }`,
		"stable/moon/Dockerfile.5.4":      "FROM debian\n",
		"stable/moon/Dockerfile.init.5.4": "FROM debian\n",
	})
	// The image of the installation is made for 5.4 alone.
	if err := os.Rename(filepath.Join(root, "stable/moon/Dockerfile.init.5.4"), filepath.Join(root, "stable/lua/Dockerfile.init.5.4")); err != nil {
		t.Fatal(err)
	}
	before := contents(t, root)
	addition, err := opened(t, root).Version(t.Context(), scaffold.VersionOptions{Runtime: "moon", Version: "5.5"})
	if err != nil {
		t.Fatal(err)
	}
	err = addition.Write(t.Context())
	if err == nil || !strings.Contains(err.Error(), "acme/lua-init:5.5 has no digest and no Dockerfile makes it") || !strings.HasSuffix(err.Error(), "\nnothing was changed") {
		t.Errorf("the error is %v", err)
	}
	if changed := differences(before, contents(t, root)); len(changed) != 0 {
		t.Errorf("left are %q", changed)
	}
}
