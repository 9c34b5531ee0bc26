package node_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// deployed are functions of a namespace, made with rtbuild's own command.
type deployed struct{ namespace string }

// restricted are the labels of a namespace whose Pods must be restricted.
func restricted() map[string]string {
	return map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
}

func (d deployed) run(command string, args ...string) (string, error) {
	out, err := rtbuild(append([]string{"function", command, "--target", "kubernetes", "--namespace", d.namespace}, args...)...)
	return string(out), err
}

func (d deployed) must(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := d.run(command, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answers makes sure that a call's answer holds a part.
func (d deployed) answers(t *testing.T, name, part string, args ...string) {
	t.Helper()
	if out := d.must(t, "call", append([]string{name}, args...)...); !strings.Contains(out, part) {
		t.Errorf("%s answered %q, want %q in it", name, out, part)
	}
}

// fails makes sure that a command fails with parts in its error.
func (d deployed) fails(t *testing.T, parts []string, command string, args ...string) {
	t.Helper()
	out, err := d.run(command, args...)
	if err == nil {
		t.Errorf("%s %v: no error, and printed %q", command, args, out)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s %v: want %q in the error\n%v", command, args, part, err)
		}
	}
}

// empty makes sure that nothing of a function is left.
func (d deployed) empty(t *testing.T) {
	t.Helper()
	out := string(kubectl(t, nil, "get", "deployments,services,configmaps", "--namespace", d.namespace, "--output=name"))
	if strings.TrimSpace(out) != "configmap/kube-root-ca.crt" {
		t.Errorf("left are\n%s", out)
	}
}

// A language is a version of a runtime, with its examples.
type language struct {
	name, folder, handler, depName string
	// newest is whether there is no later version.
	newest bool
}

// languages are the versions of all runtimes of the ConfigMap.
func languages(t *testing.T) (all []language) {
	t.Helper()
	for _, r := range configMap(t).runtimes {
		folder := ""
		for _, parent := range []string{"stable", "incubator"} {
			if path := filepath.Join(os.Getenv("RTBUILD_ROOT"), parent, r.ID); exists(path) {
				folder = path
			}
		}
		if folder == "" {
			t.Fatalf("there is no folder of the runtime %s", r.ID)
		}
		for i, v := range r.Versions {
			all = append(all, language{r.ID + v.Version, folder, handler(t, folder), r.DepName, i == len(r.Versions)-1})
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// handler is the function in the files of a runtime's folder.
func handler(t *testing.T, folder string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "contract", "contract.yaml"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if name, found := strings.CutPrefix(line, "handler:"); found {
			return strings.TrimSpace(name)
		}
	}
	return "handler"
}

// deploy deploys a file of the language's folder under a name of its own.
func (l language) deploy(t *testing.T, d deployed, folder, example string, flags ...string) (name string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(l.folder, folder))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e os.DirEntry) bool {
		return strings.EqualFold(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), example)
	})
	if i < 0 {
		t.Fatalf("%s has no %s", l.folder, example)
	}
	file := entries[i].Name()
	name = strings.NewReplacer(".", "-", "_", "-").Replace(l.name + "-" + example)
	d.must(t, "deploy", append([]string{
		name, "--runtime", l.name, "--handler", strings.TrimSuffix(file, filepath.Ext(file)) + "." + l.handler, "--from-file", filepath.Join(l.folder, folder, file),
	}, flags...)...)
	return name
}

// TestLanguages deploys the examples of each runtime, where Pods must be
// restricted: every version with real dependencies, and the newest of each with
// all examples and with a function that is too slow, too.
func TestLanguages(t *testing.T) {
	d := deployed{namespace(t, restricted())}
	t.Run("all", func(t *testing.T) {
		for _, l := range languages(t) {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				l.dependencies(t, d)
				if l.newest {
					l.examples(t, d)
					l.slow(t, d)
				}
			})
		}
	})
	d.empty(t)
}

func (l language) dependencies(t *testing.T, d deployed) {
	if l.depName == "" {
		return
	}
	name := l.deploy(t, d, "examples", "hellowithdeps", "--dependencies", filepath.Join(l.folder, "examples", l.depName))
	d.answers(t, name, "hello world")
	d.must(t, "delete", name)
}

func (l language) examples(t *testing.T, d deployed) {
	get, post := l.deploy(t, d, "examples", "helloget"), l.deploy(t, d, "examples", "hellowithdata")
	d.answers(t, get, "hello world")
	d.answers(t, post, "alive", "--data", `{"it-s": "alive"}`)
	d.must(t, "delete", get, post)
}

// slow has a function called that takes longer than it may: that call alone ends.
// What a function prints is in its logs.
func (l language) slow(t *testing.T, d deployed) {
	name := l.deploy(t, d, "contract", "contract", "--timeout", "2")
	d.fails(t, []string{"answered with status 408"}, "call", name, "--data", `{"do": "sleep", "seconds": 30}`)
	d.answers(t, name, "in time", "--data", `{"do": "echo", "value": "in time"}`)
	d.answers(t, name, "printed", "--data", `{"do": "print", "text": "said by `+name+`"}`)
	if out := d.must(t, "logs", name); !strings.Contains(out, "said by "+name) {
		t.Errorf("the logs of %s have nothing that it printed:\n%s", name, out)
	}
	d.must(t, "delete", name)
}
