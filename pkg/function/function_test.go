package function

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// python is a function that is right.
func python() *Function {
	return &Function{
		Name: "get-python", Namespace: DefaultNamespace, Handler: "hello.handler", Timeout: DefaultTimeout, Port: DefaultPort,
		Runtime: Runtime{
			ID: "python", Version: "3.13", FileNameSuffix: ".py", DepName: "requirements.txt",
			Phases: []Phase{
				{Phase: manifest.Installation, References: []string{"init"}, Command: "pip install -r $KUBELESS_DEPS_FILE", Env: map[string]string{"BASE": "$(KUBELESS_INSTALL_VOLUME)/lib"}},
				{Phase: manifest.RuntimePhase, References: []string{"run"}, Env: map[string]string{"BASE": "$(KUBELESS_INSTALL_VOLUME)/lib"}},
			},
		},
		Source: Source{Origin: "h.py", Files: []File{{Name: "h.py", Content: []byte("code")}}},
	}
}

func TestCheck(t *testing.T) {
	if err := python().Check(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Function){
		`function name "get_python"`:              func(f *Function) { f.Name = "get_python" },
		`function name ""`:                        func(f *Function) { f.Name = "" },
		`namespace "A"`:                           func(f *Function) { f.Namespace = "A" },
		`handler "hello": want MODULE.FUNCTION`:   func(f *Function) { f.Handler = "hello" },
		`handler "a.b.c": want MODULE.FUNCTION`:   func(f *Function) { f.Handler = "a.b.c" },
		`handler "../a.b": want MODULE.FUNCTION`:  func(f *Function) { f.Handler = "../a.b" },
		`timeout 0`:                               func(f *Function) { f.Timeout = 0 },
		`port 70000`:                              func(f *Function) { f.Port = 70000 },
		`port 80: the function runs as user 1000`: func(f *Function) { f.Port = 80 },
		`memory "much"`:                           func(f *Function) { f.Memory = "much" },
		`memory "128": 128 bytes are too few`:     func(f *Function) { f.Memory = "128" },
		`cpu "-1"`:                                func(f *Function) { f.CPU = "-1" },
		`variable "1A"`:                           func(f *Function) { f.Env = []Variable{{"1A", ""}} },
		`label a b=c`:                             func(f *Function) { f.Labels = map[string]string{"a b": "c"} },
		`label dev.rtbuild.part`:                  func(f *Function) { f.Labels = map[string]string{"dev.rtbuild.part": "c"} },
		`secret "../x"`:                           func(f *Function) { f.Secrets = []Secret{{Name: "../x"}} },
		`secret "kubeless"`:                       func(f *Function) { f.Secrets = []Secret{{Name: "kubeless"}} },
		`takes no dependency file`:                func(f *Function) { f.Runtime.DepName, f.Dependencies = "", []byte("x") },
		`has no source file`:                      func(f *Function) { f.Source.Files = nil },
		`h.py has no hello.py`:                    func(f *Function) { f.Source.Bundle = true },
		`no image for the runtime phase`:          func(f *Function) { f.Runtime.Phases = nil },
	} {
		f := python()
		spoil(f)
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestVolume(t *testing.T) {
	names := func(f *Function) string {
		var all []string
		for _, file := range f.Volume() {
			all = append(all, fmt.Sprintf("%s=%s", file.Name, file.Content))
		}
		return strings.Join(all, " ")
	}
	f := python()
	if got := names(f); got != "hello.py=code requirements.txt=" {
		t.Errorf("a file: %s", got)
	}
	f.Source = Source{Bundle: true, Files: []File{{Name: "hello.py"}, {Name: "requirements.txt", Content: []byte("own")}}}
	if got := names(f); got != "hello.py= requirements.txt=own" {
		t.Errorf("a bundle: %s", got)
	}
	f.Dependencies = []byte("given")
	if got := names(f); got != "hello.py= requirements.txt=given" {
		t.Errorf("a bundle and dependencies: %s", got)
	}
}

func TestSteps(t *testing.T) {
	f := python()
	if steps := f.Steps(); len(steps) != 0 {
		t.Errorf("without dependencies: %+v", steps)
	}
	f.Dependencies = []byte("six")
	f.Env = []Variable{{"A", "1"}, {"B", "$(A)2"}}
	steps := f.Steps()
	if len(steps) != 1 || steps[0].Phase != manifest.Installation || steps[0].WorkingDir != "/kubeless" {
		t.Fatalf("got %+v", steps)
	}
	script := steps[0].Command[2]
	if !strings.HasPrefix(script, fmt.Sprintf("echo '%x  ", sha256.Sum256([]byte("six")))) || !strings.HasSuffix(script, "  /kubeless/requirements.txt' > /tmp/deps.sha256 && sha256sum -c /tmp/deps.sha256 && pip install -r $KUBELESS_DEPS_FILE") {
		t.Errorf("the script is %s", script)
	}
	want := []Variable{{"A", "1"}, {"B", "12"}, {"KUBELESS_INSTALL_VOLUME", "/kubeless"}, {"KUBELESS_DEPS_FILE", "/kubeless/requirements.txt"}, {"BASE", "/kubeless/lib"}}
	if !slices.Equal(steps[0].Env, want) {
		t.Errorf("got %v\nwant %v", steps[0].Env, want)
	}
	server := f.Server()
	want = []Variable{{"A", "1"}, {"B", "12"}, {"FUNC_HANDLER", "handler"}, {"MOD_NAME", "hello"}, {"FUNC_TIMEOUT", "180"}, {"FUNC_RUNTIME", "python3.13"},
		{"FUNC_MEMORY_LIMIT", "0"}, {"FUNC_PORT", "8080"}, {"KUBELESS_INSTALL_VOLUME", "/kubeless"}, {"BASE", "/kubeless/lib"}}
	if !slices.Equal(server.Env, want) || server.Command != nil || server.References[0] != "run" {
		t.Errorf("got %+v\nwant %v", server, want)
	}
	// A dependency file in a bundle has no checksum of its own, and a compiled
	// language is told the function's name.
	f.Dependencies, f.Source = nil, Source{Bundle: true, Files: []File{{Name: "hello.py"}, {Name: "requirements.txt"}}}
	f.Runtime.Phases = append(f.Runtime.Phases, Phase{Phase: manifest.Compilation, Command: "make"})
	steps = f.Steps()
	if len(steps) != 2 || steps[0].Command[2] != "pip install -r $KUBELESS_DEPS_FILE" || steps[1].Command[2] != "make" {
		t.Fatalf("got %+v", steps)
	}
	if !slices.Contains(steps[1].Env, Variable{"KUBELESS_FUNC_NAME", "handler"}) {
		t.Errorf("got %v", steps[1].Env)
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "128Mi": 128 << 20, "1G": 1e9, "1.5Gi": 3 << 29, "10000000": 10000000, "0.5Gi": 1 << 29} {
		if got, err := ParseMemory(text); err != nil || got != want {
			t.Errorf("memory %q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]int64{"": 0, "500m": 500, "2": 2000, "0.5": 500, "1.0001": 1001} {
		if got, err := ParseCPU(text); err != nil || got != want {
			t.Errorf("cpu %q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "1 Mi", "-1", "1e9", "99999999Ei"} {
		if got, err := ParseMemory(text); err == nil {
			t.Errorf("memory %q: got %d", text, got)
		}
	}
}

func TestFindRuntime(t *testing.T) {
	runtimes := []manifest.Runtime{{ID: "python", Versions: []manifest.Version{{Version: "3.13"}, {Version: "3.11"}}}, {ID: "go", Versions: []manifest.Version{{Version: "1.26"}}}}
	r, v, err := FindRuntime(runtimes, "python3.11")
	if err != nil || r.ID != "python" || v.Version != "3.11" {
		t.Errorf("got %v %v, %v", r, v, err)
	}
	if _, _, err = FindRuntime(runtimes, "python3.1"); err == nil || !strings.Contains(err.Error(), "; did you mean python3.11 or python3.13? (there are: go1.26, python3.11, python3.13)") {
		t.Errorf("got %v", err)
	}
}

// Names of Kubernetes have 63 characters, and the prefix of a label's key is not
// counted.
func TestLengthOfNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, c := range []struct {
		name, key, value string
		want             bool
	}{
		{"a", "k", "", true}, {long, "k", "v", true}, {long + "a", "k", "v", false},
		{"a", strings.Repeat("p", 100) + "/" + long, long, true}, {"a", long + "a", "v", false}, {"a", "k", long + "a", false},
	} {
		f := python()
		f.Name, f.Labels = c.name, map[string]string{c.key: c.value}
		if err := f.Check(); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
