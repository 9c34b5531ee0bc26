package imports_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rtbuild/rtbuild"

// A rule forbids what packages whose paths start with from import, directly
// or through others, except through the packages of via.
type rule struct {
	from string
	// to are starts of import paths, and but are those among them that are meant
	// for everybody.
	to, but []string
	// except are packages of this module that may import it.
	except []string
	// direct looks at the package's own imports alone.
	direct bool
	why    string
}

var rules = []rule{
	{from: module + "/pkg", to: []string{module + "/internal", module + "/cmd"}, why: "pkg reaches outside through interfaces that internal/edge implements"},
	{from: module + "/internal/edge", to: []string{module + "/internal/cli", module + "/cmd"}, why: "edges are wired by the command line, not the other way round"},
	{from: module + "/cmd", to: []string{module + "/pkg", module + "/internal/edge"}, direct: true, why: "cmd calls internal/cli alone"},
	{from: module, to: []string{"github.com/google/go-jsonnet"}, except: []string{module + "/internal/edge/jsonnet"}, direct: true, why: "Jsonnet has one edge"},
	{from: module, to: []string{"github.com/docker/docker", "github.com/docker/cli", "github.com/moby/buildkit/client", "github.com/moby/buildkit/control"}, but: []string{"github.com/moby/buildkit/client/llb", "github.com/docker/cli/cli/config"}, except: []string{module + "/internal/edge/engine", module + "/internal/edge/docker"}, direct: true, why: "build engines have one edge, and so has Docker's engine"},
	{from: module, to: []string{"github.com/google/go-containerregistry/pkg/v1", "github.com/google/go-containerregistry/pkg/authn"}, except: []string{module + "/internal/edge/registry", module + "/hack"}, direct: true, why: "registries have one edge"},
	{from: module, to: []string{"github.com/distribution/distribution"}, except: []string{module + "/internal/registryserver"}, direct: true, why: "the embedded registry is a server of its own"},
	{from: module, to: []string{"k8s.io", "sigs.k8s.io"}, direct: true, why: "clusters are asked by the user's kubectl, which internal/edge/kubectl runs"},
	{from: module + "/internal/edge/engine", to: []string{module + "/internal/edge/registry", module + "/internal/edge/jsonnet"}, why: "edges do not know each other"},
	{from: module + "/internal/edge/docker", to: []string{module + "/internal/edge/engine", module + "/internal/edge/registry", module + "/internal/edge/jsonnet"}, why: "edges do not know each other, but building in Docker's engine takes its edge"},
	{from: module + "/internal/edge/registry", to: []string{module + "/internal/edge/engine", module + "/internal/edge/docker", module + "/internal/edge/jsonnet"}, why: "edges do not know each other"},
	{from: module + "/internal/edge/jsonnet", to: []string{module + "/internal/edge/engine", module + "/internal/edge/docker", module + "/internal/edge/registry"}, why: "edges do not know each other"},
}

// light are the packages of others that cmd/rtbuild-launcher holds. It has to start in
// a quarter of the time of the whole program: what comes in here was measured.
func light() []string {
	return []string{
		"github.com/agext/levenshtein", "github.com/google/go-containerregistry/pkg/name", "github.com/google/go-jsonnet", "github.com/opencontainers/go-digest",
		"github.com/spf13/pflag", "go.yaml.in/yaml/v2", "golang.org/x/crypto/sha3", "golang.org/x/sys/cpu", "gopkg.in/yaml.v3", "sigs.k8s.io/yaml",
	}
}

type listed struct {
	ImportPath string
	Imports    []string
}

// TestDirection holds the dependency rules of docs/ARCHITECTURE.md. Test files
// do not count: they may use the real edges.
func TestDirection(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, r := range rules {
		for path := range packages {
			if !under(path, r.from) || anyUnder(path, r.except) {
				continue
			}
			if chain := offence(packages, r, path, map[string]bool{}); chain != nil {
				t.Errorf("%s\n\t%s", r.why, strings.Join(append([]string{path}, chain...), "\n\t→ "))
			}
		}
	}
}

// offence is the chain of imports by which path reaches what the rule forbids.
func offence(packages map[string][]string, r rule, path string, seen map[string]bool) []string {
	seen[path] = true
	for _, imported := range packages[path] {
		if anyUnder(imported, r.to) && !anyUnder(imported, r.but) {
			return []string{imported}
		}
		if r.direct || seen[imported] || !under(imported, module) {
			continue
		}
		if chain := offence(packages, r, imported, seen); chain != nil {
			return append([]string{imported}, chain...)
		}
	}
	return nil
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func anyUnder(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if under(path, prefix) {
			return true
		}
	}
	return false
}

// TestLauncher holds that the program that has to start quickly stays small.
func TestLauncher(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+"/cmd/rtbuild-launcher").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	held := strings.Fields(string(out))
	for _, path := range held {
		if !under(path, module) && !anyUnder(path, light()) {
			t.Errorf("cmd/rtbuild-launcher holds %s", path)
		}
	}
	for _, path := range light() {
		if !slices.ContainsFunc(held, func(h string) bool { return under(h, path) }) {
			t.Errorf("cmd/rtbuild-launcher does not hold %s: take it off the list", path)
		}
	}
}

// list is what every package of the module imports.
func list(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	packages := map[string][]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p.Imports
	}
}

// TestOffence shows that the search finds a chain, so that TestDirection can
// fail.
func TestOffence(t *testing.T) {
	packages := map[string][]string{
		module + "/pkg/a":           {"fmt", module + "/pkg/b"},
		module + "/pkg/b":           {module + "/pkg/a", module + "/internal/edge/c"},
		module + "/internal/edge/c": {"net"},
	}
	chain := offence(packages, rules[0], module+"/pkg/a", map[string]bool{})
	if got, want := strings.Join(chain, " "), module+"/pkg/b "+module+"/internal/edge/c"; got != want {
		t.Errorf("chain %q, want %q", got, want)
	}
	if chain := offence(packages, rules[1], module+"/pkg/a", map[string]bool{}); chain != nil {
		t.Errorf("unexpected chain %q", chain)
	}
}
