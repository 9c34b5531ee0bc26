// Package hack_test tests the runtimes' Makefiles, hack/runtime.mk.
package hack_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// Where this is set, the test's own program is a stand-in for another.
const standsFor, record = "STANDS_FOR", "RECORD"

func TestMain(m *testing.M) {
	switch os.Getenv(standsFor) {
	case "kubeless":
		os.Exit(kubeless(os.Args[1:]))
	case "kubectl":
		os.Exit(0) // all is there and well
	}
	os.Exit(m.Run())
}

// kubeless stands for kubeless only as far as it reads command lines, and refuses
// what kubeless 1.0.8 would: the flags are those of its cmd/kubeless/function. A
// function is a file in the folder that RECORD names, with the command that made it.
func kubeless(args []string) int {
	if len(args) < 2 || args[0] != "function" {
		fmt.Fprintf(os.Stderr, "kubeless: unknown command %q\n", args)
		return 1
	}
	command, set := args[1], pflag.NewFlagSet("kubeless", pflag.ContinueOnError)
	namespace := set.StringP("namespace", "n", "", "")
	texts := map[string]*string{}
	data := new(string)
	switch command {
	case "deploy", "update":
		for name, short := range map[string]string{"runtime": "r", "handler": "", "from-file": "f", "dependencies": "d", "memory": "", "cpu": "", "timeout": ""} {
			texts[name] = set.StringP(name, short, "", "")
		}
		set.StringSliceP("label", "l", nil, "")
		set.StringSliceP("env", "e", nil, "")
		set.StringSlice("secrets", nil, "")
		set.Int32("port", 8080, "")
	case "call":
		data = set.StringP("data", "d", "", "")
	case "describe", "delete":
	default:
		fmt.Fprintf(os.Stderr, "kubeless: unknown command %q\n", command)
		return 1
	}
	if err := set.Parse(args[2:]); err != nil || set.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "kubeless:", args, err)
		return 1
	}
	if err := act(command, filepath.Join(os.Getenv(record), *namespace+"."+set.Arg(0)), texts, *data); err != nil {
		fmt.Fprintln(os.Stderr, "kubeless:", err)
		return 1
	}
	return 0
}

func act(command, file string, texts map[string]*string, data string) error {
	_, err := os.Stat(file)
	there := err == nil
	if (command == "deploy") == there {
		return fmt.Errorf("%s: the function is there: %v", command, there)
	}
	switch command {
	case "deploy", "update":
		for _, name := range []string{"from-file", "dependencies"} {
			if _, err := os.Stat(*texts[name]); *texts[name] != "" && err != nil {
				return err
			}
		}
		return os.WriteFile(file, []byte(strings.Join([]string{command, *texts["runtime"], *texts["handler"], *texts["from-file"], *texts["dependencies"]}, " ")), 0o600)
	case "delete":
		return os.Remove(file)
	case "call":
		fmt.Println("hello world", data) // nothing runs here that could answer
	}
	return nil
}

// RFC 1035, as Kubernetes has names.
var kubernetesName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// TestMakefiles holds what the targets of all runtimes run.
func TestMakefiles(t *testing.T) {
	tree, binary := tree(t), program(t)
	t.Run("images", func(t *testing.T) { testImageTargets(t, tree, binary) })
	t.Run("kubeless", func(t *testing.T) { testKubeless(t, tree, binary) })
}

// testKubeless runs the same targets with kubeless as with rtbuild function: what
// is there is updated, and undeploy ends the others where one is missing.
func testKubeless(t *testing.T, tree *manifest.Tree, binary string) {
	for _, r := range tree.Runtimes {
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			run := func(goals ...string) {
				t.Helper()
				runMake(t, r, binary, append(goals, "FUNCTION="+standIn(t, "kubeless", folder), "KUBECTL="+standIn(t, "kubectl", folder),
					"NAMESPACE=ns", "DEPLOY_FLAGS=--env A=1 --label a=b")...)
			}
			run("-j4", "deploy", "test")
			first := functions(t, folder)
			for name, made := range first {
				if !kubernetesName.MatchString(name) || !strings.HasPrefix(made, "deploy ") {
					t.Errorf("%s: %s", name, made)
				}
			}
			for _, v := range r.Versions {
				runs := 0
				for _, made := range first {
					if strings.HasPrefix(made, "deploy "+r.ID+v.Version+" ") {
						runs++
					}
				}
				if want := examples(t, r); runs != want {
					t.Errorf("%s runs %d examples, want %d: %v", r.ID+v.Version, runs, want, first)
				}
			}
			run("deploy")
			for name, made := range functions(t, folder) {
				if made != strings.Replace(first[name], "deploy ", "update ", 1) {
					t.Errorf("%s: a second time: %s", name, made)
				}
			}
			for name := range first {
				if err := os.Remove(filepath.Join(folder, "ns."+name)); err != nil {
					t.Fatal(err)
				}
				break
			}
			run("undeploy")
			if left := functions(t, folder); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

// testImageTargets wants a target for each image, and for all.
func testImageTargets(t *testing.T, tree *manifest.Tree, binary string) {
	for _, r := range tree.Runtimes {
		targets := []string{"build", "push", "verify"}
		want := []string{"build " + r.ID, "build --push " + r.ID, "verify " + r.ID}
		for _, v := range r.Versions {
			for _, image := range v.Images {
				target := v.Version
				if image.Phase != manifest.RuntimePhase {
					target = "init-" + v.Version
				}
				if slices.Contains(targets, "build-"+target) {
					continue // one image for two phases
				}
				targets = append(targets, "build-"+target, "push-"+target)
				want = append(want, "build "+image.Ref.WithoutDigest(), "build --push "+image.Ref.WithoutDigest())
			}
		}
		printed := strings.Split(strings.TrimSpace(runMake(t, r, binary, append(targets, "--just-print", "--no-print-directory")...)), "\n")
		for i, target := range targets {
			if len(printed) != len(targets) || printed[i] != binary+" "+want[i] {
				t.Errorf("%s: make %s runs not %s:\n%s", r.ID, target, want[i], strings.Join(printed, "\n"))
			}
		}
	}
}

func tree(t *testing.T) *manifest.Tree {
	t.Helper()
	loaded, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: ".."})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func program(t *testing.T) string {
	t.Helper()
	testfile.Sources(t, "cmd/rtbuild")
	binary := filepath.Join(t.TempDir(), "rtbuild")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/rtbuild").CombinedOutput(); err != nil {
		t.Fatalf("building rtbuild: %v\n%s", err, out)
	}
	return binary
}

// standIn is a program of this name in a folder: this one.
func standIn(t *testing.T, name, folder string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	script := fmt.Sprintf("#!/bin/sh\n%s=%s %s=%s exec %s \"$@\"\n", standsFor, name, record, folder, os.Args[0])
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// runMake runs make in a runtime's folder and returns its stdout.
func runMake(t *testing.T, r manifest.Runtime, binary string, args ...string) string {
	t.Helper()
	cmd := exec.Command("make", append([]string{"-C", folderOf(t, r), "RTBUILD=" + binary}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") })
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

func folderOf(t *testing.T, r manifest.Runtime) string {
	t.Helper()
	for _, parent := range []string{"../stable", "../incubator"} {
		if _, err := os.Stat(filepath.Join(parent, r.ID, "Makefile")); err == nil {
			return filepath.Join(parent, r.ID)
		}
	}
	t.Fatalf("runtime %s has no Makefile", r.ID)
	return ""
}

// examples is how many there are that a version runs.
func examples(t *testing.T, r manifest.Runtime) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(folderOf(t, r), "examples"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		name := strings.ToLower(strings.TrimSuffix(entry.Name(), filepath.Ext(entry.Name())))
		if name == "helloget" || name == "hellowithdata" || name == "hellowithdeps" {
			n++
		}
	}
	return n
}

// functions are what made the functions that there are, by name.
func functions(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(entry.Name(), "ns.")] = string(content)
	}
	return found
}
