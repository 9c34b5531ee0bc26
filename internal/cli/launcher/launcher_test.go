package launcher_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/testfile"
)

// programs are where the programs under test are.
type programs struct {
	// launcher has the whole program beside it, alone has not, and whole is that.
	launcher, alone, whole string
}

// programsVariable names the folder of the programs under test.
const programsVariable = "RTBUILD_TEST_PROGRAMS"

// TestMain compiles both programs.
func TestMain(m *testing.M) {
	os.Exit(withPrograms(m.Run))
}

func withPrograms(run func() int) int {
	dir, err := os.MkdirTemp("", "rtbuild-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Setenv(programsVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := programsIn(dir)
	for path, program := range map[string]string{p.launcher: "cmd/rtbuild-launcher", p.alone: "cmd/rtbuild-launcher", p.whole: "cmd/rtbuild"} {
		// Without the commit, so that both are of one build whatever is changed meanwhile.
		if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "github.com/rtbuild/rtbuild/"+program).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "compiling %s: %v\n%s", program, err, out)
			return 1
		}
	}
	return run()
}

func programsIn(dir string) programs {
	return programs{launcher: filepath.Join(dir, "both", "rtbuild"), alone: filepath.Join(dir, "alone", "rtbuild"), whole: filepath.Join(dir, "both", "rtbuild-full")}
}

// compiled are the programs that TestMain compiled.
func compiled(t *testing.T) programs {
	t.Helper()
	testfile.Sources(t, "cmd/rtbuild", "cmd/rtbuild-launcher")
	return programsIn(os.Getenv(programsVariable))
}

// copyProgram copies a program, changed by change where that is not nil.
func copyProgram(t *testing.T, from, to string, change func([]byte) []byte) {
	t.Helper()
	program, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		program = change(program)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, program, 0o755); err != nil {
		t.Fatal(err)
	}
}

// outcome is what a command printed, stdout and stderr apart and then as they come
// together, and its exit code.
type outcome struct {
	stdout, stderr, both string
	code                 int
}

func run(t *testing.T, program, dir string, env []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr, both bytes.Buffer
	command := func() *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PWD=" + dir}, env...)
		return cmd
	}
	cmd := command()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	code := finish(t, cmd)
	cmd = command()
	cmd.Stdout, cmd.Stderr = &both, &both
	if again := finish(t, cmd); again != code {
		t.Errorf("%s: exit code %d at first, then %d", cmd, code, again)
	}
	return outcome{stdout.String(), stderr.String(), both.String(), code}
}

// finish runs a command and returns its exit code.
func finish(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return cmd.ProcessState.ExitCode()
}

// runtimeManifest is a manifest of one runtime with this image.
func runtimeManifest(image string) string {
	return fmt.Sprintf(`[{ ID: 'go', versions: [{ name: 'go1', version: '1', eol:: '2030-01-31', images: [{ phase: 'runtime', image: %s }] }] }]`, image)
}

const digest = "@sha256:3333333333333333333333333333333333333333333333333333333333333333"

// pinned is a tree as they mostly are.
func pinned() map[string]string {
	return map[string]string{"runtimes.jsonnet": runtimeManifest(`'acme/go:1` + digest + `'`), "stable/go/Dockerfile": "FROM scratch\n"}
}

// with is a tree with files added or replaced.
func with(files map[string]string, more ...string) map[string]string {
	files = maps.Clone(files)
	for n := 0; n < len(more); n += 2 {
		files[more[n]] = more[n+1]
	}
	return files
}

// A row is a command line in a tree.
type row struct {
	name  string
	files map[string]string
	// in is the folder to run in, below the tree.
	in   string
	env  []string
	args []string
	// code is the exit code.
	code int
	// left tells that the whole program has to do it.
	left bool
}

func rows() []row {
	variable := with(pinned(), "runtimes.jsonnet", runtimeManifest(`std.extVar('image')`))
	argument := with(pinned(), "runtimes.jsonnet", `function(image='b:1') `+runtimeManifest(`image`))
	unpinned := with(pinned(), "runtimes.jsonnet", runtimeManifest(`'acme/go:1'`))
	configMap := []string{"configmap"}
	return []row{
		{name: "ordinary", files: pinned(), args: configMap},
		{name: "quiet", files: pinned(), args: []string{"configmap", "--quiet"}},
		{name: "verbose", files: pinned(), args: []string{"configmap", "-v"}},
		{name: "one key", files: pinned(), args: []string{"configmap", "--only", "runtime-images"}},
		{name: "one key that is none", files: pinned(), args: []string{"configmap", "--only=deployment"}, code: 2, left: true},
		{name: "with the Namespace", files: pinned(), args: []string{"configmap", "--namespace-object", "--server-side"}},
		{name: "unpinned", files: unpinned, args: configMap},
		{name: "unpinned, one key", files: unpinned, args: []string{"configmap", "--only", "runtime-images"}},
		{name: "unpinned, quiet", files: unpinned, args: []string{"configmap", "-q"}},
		{name: "settings", files: with(pinned(), "rtbuild.yaml", "configMap: {name: n, namespace: s, data: {k: v}}\nlockFile: x.lock\n"), args: configMap},
		{name: "settings of the machine", files: with(pinned(), ".rtbuild/settings.yaml", "builder: embedded\nmirrors: {docker.io: local/mirror}\n"), args: configMap},
		{name: "settings of the machine, one key", files: with(pinned(), ".rtbuild/settings.yaml", "jobs: 2\n"), args: []string{"configmap", "--only", "runtime-images"}},
		{name: "a setting that is none", files: with(pinned(), "rtbuild.yaml", "colour: red\n"), args: configMap, code: 2, left: true},
		{name: "a registry in the settings", files: with(pinned(), "rtbuild.yaml", "registry: ghcr.io/acme\n"), args: configMap, left: true},
		{name: "a variable in the settings", files: with(variable, "rtbuild.yaml", "extStr: {image: 'a:1'}\n"), args: configMap},
		{name: "a variable's flag", files: variable, args: []string{"configmap", "-V", "image=a:1"}},
		{name: "a variable of the environment", files: variable, env: []string{"image=a:1"}, args: []string{"configmap", "--ext-str", "image"}},
		{name: "a variable without a value", files: variable, args: []string{"configmap", "--ext-str", "image"}, code: 2, left: true},
		{name: "no variable", files: with(variable, "rtbuild.yaml", ""), args: configMap, code: 1, left: true},
		{name: "a variable's code", files: variable, args: []string{"configmap", "--ext-code", "image='a:' + 1"}},
		{name: "an argument", files: argument, args: []string{"configmap", "-A", "image=a:1"}},
		{name: "a function without arguments", files: argument, args: configMap},
		{name: "a library", files: with(pinned(), "runtimes.jsonnet", `import 'l.libsonnet'`, "lib/l.libsonnet", runtimeManifest("'a:1'")), args: []string{"configmap", "-J", "lib"}},
		{name: "a library of the environment", files: with(pinned(), "runtimes.jsonnet", `import 'l.libsonnet'`, "lib/l.libsonnet", runtimeManifest("'a:1'")), env: []string{"JSONNET_PATH=lib"}, args: configMap},
		{name: "in a subfolder", files: unpinned, in: "stable/go", args: configMap},
		{name: "elsewhere", files: unpinned, in: "stable", args: []string{"configmap", "-C", ".."}},
		{name: "in no folder", files: pinned(), args: []string{"configmap", "-C", "none"}, code: 2, left: true},
		{name: "another document", files: with(pinned(), "other.jsonnet", runtimeManifest("'b:1'")), args: []string{"configmap", "--manifest", "other.jsonnet"}},
		{name: "the environment's flags", files: with(unpinned, "other.jsonnet", runtimeManifest("'b:1'")), env: []string{"RTBUILD_MANIFEST=other.jsonnet", "RTBUILD_QUIET=true", "RTBUILD_BUILDER=docker://", "RTBUILD_MIRROR=docker.io=local/mirror", "RTBUILD_ONLY=x", "RTBUILD_REGISTRY="}, args: configMap},
		{name: "the environment's registry", files: pinned(), env: []string{"RTBUILD_REGISTRY=ghcr.io/acme"}, args: configMap, left: true},
		{name: "the environment's output", files: pinned(), env: []string{"RTBUILD_OUTPUT=json"}, args: configMap, left: true},
		{name: "the environment's mistake", files: pinned(), env: []string{"RTBUILD_JOBS=many"}, args: configMap, code: 2, left: true},
		{name: "a mirror that is none", files: pinned(), args: []string{"configmap", "--mirror", "docker.io"}, code: 2, left: true},
		{name: "a registry", files: pinned(), args: []string{"configmap", "--registry", "ghcr.io/acme"}, left: true},
		{name: "JSON", files: pinned(), args: []string{"configmap", "--output", "json"}, left: true},
		{name: "an output that is none", files: pinned(), args: []string{"configmap", "--output", "xml"}, code: 2, left: true},
		{name: "flags that contradict", files: pinned(), args: []string{"configmap", "-q", "-v"}, code: 2, left: true},
		{name: "flags before the command", files: pinned(), args: []string{"--quiet", "configmap"}, left: true},
		{name: "an unknown flag", files: pinned(), args: []string{"configmap", "--nonesuch"}, code: 2, left: true},
		{name: "an argument too many", files: pinned(), args: []string{"configmap", "go"}, code: 2, left: true},
		{name: "nothing after dashes", files: pinned(), args: []string{"configmap", "--"}},
		{name: "help", files: pinned(), args: []string{"configmap", "--help"}, left: true},
		{name: "flags of --diff", files: pinned(), args: []string{"configmap", "--context", "x"}, code: 2, left: true},
		{name: "no manifest", files: map[string]string{"x": ""}, args: configMap, code: 1, left: true},
		{name: "broken", files: with(pinned(), "runtimes.jsonnet", "[{ ID: 'go',,}]"), args: configMap, code: 1, left: true},
		{name: "invalid", files: with(pinned(), "runtimes.jsonnet", "[{ ID: 'go-1', versions: [] }]"), args: []string{"configmap", "--only", "runtime-images"}, code: 1, left: true},
		{name: "warned of", files: with(pinned(), "runtimes.jsonnet", strings.Replace(runtimeManifest("'a:1'"), "ID:", "colour: 'red', ID:", 1)), args: configMap},
		{name: "a wrong date", files: with(pinned(), "runtimes.jsonnet", strings.Replace(runtimeManifest("'a:1'"), "2030-01-31", "soon", 1)), args: configMap, code: 1, left: true},
		{name: "too large", files: with(pinned(), "runtimes.jsonnet", runtimeManifest("'a:1' }, { phase: 'installation', command: std.repeat('x', 300000), image: 'b:1'")), args: []string{"configmap", "--only", "runtime-images"}, code: 1, left: true},
		{name: "large", files: with(pinned(), "runtimes.jsonnet", runtimeManifest("'a:1' }, { phase: 'installation', command: std.repeat('x', 300000), image: 'b:1'")), args: []string{"configmap", "--server-side"}},
		{name: "version", files: pinned(), args: []string{"version"}},
		{name: "version of the environment's flags", files: pinned(), env: []string{"RTBUILD_REGISTRY=ghcr.io/acme", "RTBUILD_QUIET=1"}, args: []string{"version"}},
		{name: "version as JSON", files: pinned(), args: []string{"version", "--output", "json"}, left: true},
		{name: "version of what", files: pinned(), args: []string{"version", "x"}, code: 2, left: true},
		{name: "nothing", files: pinned(), args: nil, left: true},
		{name: "another command", files: pinned(), args: []string{"list"}, left: true},
		{name: "a command that fails", files: pinned(), args: []string{"pin", "--check", "nonesuch"}, code: 2, left: true},
		{name: "no command", files: pinned(), args: []string{"configmaps"}, code: 2, left: true},
		{name: "completion", files: pinned(), args: []string{"__complete", "configmap", "--o"}, left: true},
	}
}

// TestSame compares the launcher with the whole program: what it answers by itself,
// and what it leaves to that.
func TestSame(t *testing.T) {
	p := compiled(t)
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			dir := filepath.Join(testfile.Tree(t, r.files), r.in)
			want := run(t, p.whole, dir, r.env, r.args...)
			if want.code != r.code {
				t.Errorf("exit code %d, want %d: %s", want.code, r.code, want.stderr)
			}
			if got := run(t, p.launcher, dir, r.env, r.args...); got != want {
				t.Errorf("with the whole program beside it:\n%+v\nwant\n%+v", got, want)
			}
			got := run(t, p.alone, dir, r.env, r.args...)
			if !r.left && got != want {
				t.Errorf("alone:\n%+v\nwant\n%+v", got, want)
			}
			if r.left && (got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "rtbuild-full is missing") || strings.Count(got.stderr, "\n") != 1) {
				t.Errorf("alone:\n%+v\nwant one line that says what is missing", got)
			}
		})
	}
}

// TestPlaces tries what may lie beside the launcher, and where it may be started.
func TestPlaces(t *testing.T) {
	p := compiled(t)
	tree := testfile.Tree(t, pinned())
	want := run(t, p.whole, tree, nil, "list")

	link := filepath.Join(t.TempDir(), "rt")
	if err := os.Symlink(p.launcher, link); err != nil {
		t.Fatal(err)
	}
	if got := run(t, link, tree, nil, "list"); got != want {
		t.Errorf("by a symbolic link: %+v, want %+v", got, want)
	}
	cmd := exec.Command("sh", "-c", `PATH=$1:$PATH; rtbuild list`, "sh", filepath.Dir(p.launcher))
	cmd.Dir = tree
	if out, err := cmd.Output(); err != nil || string(out) != want.stdout {
		t.Errorf("by PATH: %v, %q, want %q", err, out, want.stdout)
	}

	// Whole programs that are none, or of another version.
	for name, beside := range map[string]struct {
		from   string
		change func([]byte) []byte
		says   string
	}{
		"another version": {p.whole, func(program []byte) []byte {
			return bytes.ReplaceAll(program, []byte("\t(devel)\t"), []byte("\tv1.2.30\t"))
		}, "rtbuild-full is rtbuild v1.2.30"},
		"the launcher itself": {p.launcher, nil, "is the same program as"},
		"no program":          {p.launcher, func([]byte) []byte { return []byte("#!/bin/sh\necho wrong\n") }, "cannot be read as a program"},
	} {
		t.Run(name, func(t *testing.T) {
			launcher := filepath.Join(t.TempDir(), "rtbuild")
			copyProgram(t, p.launcher, launcher, nil)
			copyProgram(t, beside.from, launcher+"-full", beside.change)
			for _, args := range []string{"configmap", "version", "list"} {
				got := run(t, launcher, tree, nil, args)
				if got.code != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "rtbuild: ") || !strings.Contains(got.stderr, beside.says) || !strings.Contains(got.stderr, "install both") {
					t.Errorf("%s: %+v, want the next step, and %q", args, got, beside.says)
				}
			}
		})
	}
}
