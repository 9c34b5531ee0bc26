package manifest_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

func load(t *testing.T, opts manifest.Options) *manifest.Tree {
	t.Helper()
	loaded, err := manifest.Load(t.Context(), jsonnet.New(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// sound is a runtime with nothing wrong in it.
const sound = `{ ID: 'go', depName: 'go.mod', fileNameSuffix: '.go', versions: [{ name: 'go1', version: '1', images: [
  { phase: 'installation', image: 'acme/go-init:1', command: 'go build', env: { A: '$(X)' }, secrets: [{ name: 's' }] },
  { phase: 'runtime', image: 'acme/go:1@sha256:` + digits + `', build:: { dockerfile: 'Dockerfile.x', context: '..', args: { V: '1' }, target: 'slim' } },
] }] }
`

const digits = "0000000000000000000000000000000000000000000000000000000000000000"

func TestLoad(t *testing.T) {
	root := testfile.Tree(t, map[string]string{
		"runtimes.jsonnet":           "[import 'incubator/go/go.jsonnet']\n",
		"incubator/go/go.jsonnet":    sound,
		"elsewhere/runtimes.jsonnet": "[]\n",
	})
	located := load(t, manifest.Options{Root: root})
	if len(located.Findings) > 0 || located.Valid() != nil || len(located.Runtimes) != 1 {
		t.Fatalf("%+v", located)
	}
	r := located.Runtimes[0]
	if r.ID != "go" || r.Folder != "incubator/go" || r.Stability != "incubator" || r.File != filepath.Join(root, "incubator/go/go.jsonnet") {
		t.Errorf("%+v", r)
	}
	init, run := r.Versions[0].Images[0], r.Versions[0].Images[1]
	if init.Command != "go build" || init.Env["A"] != "$(X)" || init.Build != nil || init.Ref.Tag != "1" || init.Position.Line != 2 {
		t.Errorf("%+v", init)
	}
	want := &manifest.BuildSpec{Dockerfile: "Dockerfile.x", Context: "..", Args: map[string]string{"V": "1"}, Target: "slim"}
	if !reflect.DeepEqual(run.Build, want) || run.Pointer != "/0/versions/0/images/1/image" {
		t.Errorf("%+v", run)
	}
	// Where nothing is wrong, leaving out where things are leaves out nothing else.
	bare := load(t, manifest.Options{Root: root, Unlocated: true})
	if string(bare.JSON) != string(located.JSON) || bare.Runtimes[0].Folder != "" || bare.Runtimes[0].Versions[0].Images[1].Ref != run.Ref {
		t.Errorf("%+v", bare)
	}
	if other := load(t, manifest.Options{Root: root, Entry: "elsewhere/runtimes.jsonnet"}); len(other.Runtimes) != 0 {
		t.Errorf("%+v", other)
	}
}

// What cannot be a list of runtimes is an error that says what to do.
func TestLoadErrors(t *testing.T) {
	root := testfile.Tree(t, map[string]string{
		"object.jsonnet":    "{ ID: 'go' }\n",
		"broken.jsonnet":    "[\n",
		"undefined.jsonnet": "[{ versions: [{ images: [{ image: 'a/b:1', build:: missing }] }] }]\n",
		"folder/x":          "",
		"raises.jsonnet":    "[{ versions: [{ images: [{ image: 'a/b:1', build:: error 'no' }] }] }]\n",
	})
	if err := os.Symlink("/dev/null", filepath.Join(root, "outside.jsonnet")); err != nil {
		t.Fatal(err)
	}
	for entry, want := range map[string]string{
		"":                  "runtimes.jsonnet: no such file; run in a repository of runtimes",
		"object.jsonnet":    "object.jsonnet:1: evaluates to an object, want a list of runtimes",
		"broken.jsonnet":    "evaluating broken.jsonnet: ",
		"undefined.jsonnet": "undefined.jsonnet:1:",
		"folder":            "not a file; --manifest takes the root document",
		"raises.jsonnet":    "evaluating the hidden fields of raises.jsonnet: ",
	} {
		_, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root, Entry: entry})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", entry, err, want)
		}
	}
	away := testfile.Tree(t, map[string]string{"runtimes.jsonnet": "[]\n"})
	_, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root, Entry: filepath.Join(away, "runtimes.jsonnet")})
	if err == nil || !strings.Contains(err.Error(), "lies outside of the repository") {
		t.Errorf("got %v", err)
	}
}

// Each row is an edit of the sound runtime, and the finding that it makes.
func TestFindings(t *testing.T) {
	for _, test := range []struct{ old, edited, want string }{
		{"ID: 'go'", "ID: 'go8'", `:1:7: error: go8: no function can be deployed with the ID "go8": the controller takes letters, - and _ only`},
		{"ID: 'go',", "", "error: runtime 0: ID is missing"},
		{"depName: 'go.mod'", "depName: 'go mod'", `error: go: depName "go mod" cannot be a ConfigMap's key`},
		{"depName: 'go.mod'", "depName: 'handler'", `error: go: depName "handler" is taken`},
		{"fileNameSuffix: '.go'", "fileNameSuffix: 'go'", `warning: go: fileNameSuffix "go" is appended to the module's name as it is; did you mean ".go"?`},
		{"depName:", "depname: 'x', depName:", `error: runtime 0: "depname" and another spelling of depName are in one object; keep one`},
		{"depName:", "dep: 'x', depName:", `warning: runtime 0: unknown field "dep": the controller ignores it`},
		{"ID: 'go',", "ID: 'my-go', livenessProbeInfo: {},", "warning: my-go: livenessProbeInfo is never used"},
		{"depName:", "livenessProbeInfo: [], depName:", "error: go: livenessProbeInfo is a list, want an object: a Kubernetes probe"},
		{"version: '1'", "version: 3.10", "error: go: version is a number, want a string: quote it; without quotes, 3.10 is 3.1"},
		{"version: '1'", "version: '1-rc'", `error: go 1-rc: no function can be deployed with the version "1-rc"`},
		{"version: '1'", "version: true", "error: go: version is a boolean, want a string"},
		{"phase: 'installation'", "phase: 'install'", `error: go 1: unknown phase "install"; did you mean installation? [phase]`},
		{"phase: 'installation'", "phase: 'runtime'", `error: go 1: the phase "runtime" is declared twice; the controller only finds the first`},
		{"phase: 'runtime'", "phase: 'compilation'", "error: go 1: has no image of the phase runtime"},
		{"command: 'go build'", "command: ' '", "warning: go 1 installation: command is empty"},
		{"phase: 'runtime',", "phase: 'runtime', command: 'x',", "warning: go 1 runtime: command is never run"},
		{"phase: 'runtime',", "phase: 'runtime', secrets: [{ name: 'x' }],", "warning: go 1 runtime: secrets are never mounted in the runtime phase"},
		{"secrets: [{ name: 's' }]", "secrets: [{}]", "error: go 1 installation: secrets name is missing"},
		{"secrets: [{ name: 's' }]", "secrets: 's'", "error: go 1 installation: secrets is a string, want a list"},
		{"acme/go-init:1", "acme/GO:1", `error: go 1 installation: image reference "acme/GO:1": `},
		{"{ A: '$(X)' }", "['A=b']", "error: go 1 installation: env is a list, want an object of strings: a list stops the controller"},
		{"{ A: '$(X)' }", "{ A: '$(B)', B: 'b' }", "error: go 1 installation: env A refers to $(B) of the same env; their order is random in the cluster"},
		{"{ A: '$(X)' }", "{ A: '$X/lib' }", `warning: go 1 installation: env A: "$X/lib" is not expanded by Kubernetes; write $(NAME)`},
		{"{ A: '$(X)' }", "{ A: 'a\\rb' }", `warning: go 1 installation: A has carriage returns (\r), and so has the ConfigMap`},
		{"build::", "build:", "warning: go 1: build is visible and so ends up in the ConfigMap; hide it: build:: { … }"},
		{"version: '1'", "version: '1', eol: '2999-01-01'", "warning: go version 0: eol is visible and so ends up in the ConfigMap; hide it: eol:: '…' [eol]"},
		{"context: '..'", "context: 1", "error: go 1 runtime: build: context is a number; it takes the strings dockerfile, context and target"},
		{"context: '..'", "kontext: '..'", `error: go 1 runtime: build: unknown field "kontext"; it takes`},
		{"context: '..'", "context: '/x'", `error: go 1 runtime: build: context "/x" is an absolute path; write it relative to the runtime folder`},
		{"build:: {", "build:: 'x', other:: {", "error: go 1 runtime: build: it is a string, not an object"},
		{"images: [", "images: [1,", "error: go 1: is a number, want an object"},
		{"versions: [", "versions: [], more: [", "error: go: versions is empty"},
	} {
		edited := strings.Replace(sound, test.old, test.edited, 1)
		if edited == sound {
			t.Fatalf("%q is not in the runtime", test.old)
		}
		root := testfile.Tree(t, map[string]string{"runtimes.jsonnet": "[import 'stable/go/go.jsonnet']\n", "stable/go/go.jsonnet": edited})
		for _, unlocated := range []bool{false, true} {
			loaded := load(t, manifest.Options{Root: root, Unlocated: unlocated})
			var all []string
			for _, f := range loaded.Findings {
				all = append(all, strings.TrimPrefix(f.String(), root+"/stable/go/"))
			}
			text := strings.Join(all, "\n")
			if !strings.Contains(text, test.want) || !strings.HasPrefix(text, "go.jsonnet:") {
				t.Errorf("%s, unlocated %v: got\n%s\nwant %s", test.edited, unlocated, text, test.want)
			}
			if err := loaded.Valid(); (err != nil) != strings.Contains(test.want, "error: ") {
				t.Errorf("%s: valid: %v", test.edited, err)
			}
		}
	}
}

// Two runtimes, or two versions of one, may not have the same name.
func TestDeclaredTwice(t *testing.T) {
	root := testfile.Tree(t, map[string]string{"runtimes.jsonnet": "local go = " + strings.TrimSpace(sound) + ";\n[go, go { versions: super.versions + super.versions }]\n"})
	err := load(t, manifest.Options{Root: root}).Valid()
	for _, want := range []string{`the ID "go" is declared twice`, `the version "1" is declared twice`, `the name "go1" is declared twice in go`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Carriage returns that come from a file with CRLF say which one.
func TestCarriageReturns(t *testing.T) {
	root := testfile.Tree(t, map[string]string{
		"runtimes.jsonnet": "[" + strings.Replace(sound, "command: 'go build'", "command: importstr 'install.sh'", 1) + "]\n",
		"install.sh":       "set -e\r\ngo build\r\n",
	})
	findings := load(t, manifest.Options{Root: root}).Findings
	if len(findings) != 1 || !strings.Contains(findings[0].Message, "they are those of "+root+"/install.sh:1, whose lines end in CRLF") {
		t.Errorf("%v", findings)
	}
}

func TestRuntimeFolder(t *testing.T) {
	for file, want := range map[string]string{
		"/r/stable/go/go.jsonnet":   "stable/go",
		"/r/stable/go/lib/x":        "stable/go",
		"/r/stable/go.jsonnet":      "",
		"/r/lib/x.libsonnet":        "",
		"/elsewhere/stable/go/x":    "",
		"/r/deep/er/go/go.jsonnet":  "deep/er/go",
		"/r/stablest/go/go.jsonnet": "",
	} {
		if got := manifest.RuntimeFolder("/r", []string{"stable/", "deep/er"}, file); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}
