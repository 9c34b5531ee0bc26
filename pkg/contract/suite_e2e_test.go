//go:build e2e

package contract_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// The images of the Python runtime must be in the engine, or in a registry
// that RTBUILD_E2E_IMAGE_PREFIX names ("127.0.0.1:5000/").

// python are the versions of the Python runtime.
func python(t *testing.T) []contract.Subject {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	var subjects []contract.Subject
	for _, r := range tree.Runtimes {
		for _, v := range r.Versions {
			if r.ID == "python" {
				subjects = append(subjects, contract.NewSubject(root, r, v, func(image manifest.Image) []string {
					return []string{os.Getenv("RTBUILD_E2E_IMAGE_PREFIX") + image.Ref.WithoutDigest()}
				}))
			}
		}
	}
	if len(subjects) == 0 {
		t.Fatal("the manifest has no versions of python")
	}
	return subjects
}

func containers(t *testing.T) *docker.Engine {
	t.Helper()
	c, err := docker.Open(t.Context(), docker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestKeeps verifies images that keep the contract.
func TestKeeps(t *testing.T) {
	suite := contract.Suite{Engine: containers(t)}
	for _, subject := range python(t) {
		t.Run(subject.Version, func(t *testing.T) {
			report, err := suite.Verify(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Results) != len(contract.Names()) {
				t.Errorf("%d results of %d checks", len(report.Results), len(contract.Names()))
			}
			for _, r := range report.Results {
				if r.Status != contract.StatusPassed {
					t.Errorf("%s: %s: %s\n%q", r.Check, r.Status, r.Detail, r.Log)
				}
			}
		})
	}
}

// TestBreaks verifies what breaks the contract in known ways: exactly those
// rows fail, and in the end each row has failed once.
func TestBreaks(t *testing.T) {
	engine := containers(t)
	versions := python(t)
	subject := versions[len(versions)-1]
	failed := map[string]bool{}
	wants := func(t *testing.T, subject contract.Subject, checks []string, want ...string) {
		report, err := (&contract.Suite{Engine: engine, Checks: checks}).Verify(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Results {
			if (r.Status == contract.StatusFailed) != slices.Contains(want, r.Check) {
				t.Errorf("%s: %s: %s\n%q", r.Check, r.Status, r.Detail, r.Log)
			}
		}
		for _, r := range report.Failed() {
			failed[r.Check] = true
		}
	}

	t.Run("wrong functions", func(t *testing.T) {
		wrong := subject
		wrong.Functions, wrong.Examples = "testdata/wrong", "testdata/wrong"
		right := []string{"load", "health-ready", "cors", "user", "start-time"}
		want := slices.DeleteFunc(contract.Names(), func(name string) bool { return slices.Contains(right, name) })
		wants(t, wrong, nil, want...)
	})
	t.Run("classic server", func(t *testing.T) {
		classic := subject
		classic.Phases = slices.Clone(subject.Phases)
		for i := range classic.Phases {
			if classic.Phases[i].Phase == manifest.RuntimePhase {
				classic.Phases[i].References = []string{classicImage(t, classic.Phases[i].References[0])}
			}
		}
		wants(t, classic, nil, "health-loading", "load-error", "syntax-error", "malformed-json", "large-body", "context", "status", "framing", "stream",
			"exception", "exit", "crash", "timeout", "timeout-neighbours", "timeout-busy", "metrics", "access-log", "output", "cors",
			"cloudevents", "shutdown", "user")
	})
	for _, c := range []struct {
		name, value  string
		checks, want []string
	}{
		{"FUNC_TIMEOUT", "wrong", []string{"load", "health-ready", "start-time"}, []string{"load", "health-ready", "start-time"}},
		{"FUNC_MAX_BODY", "1Mi", []string{"large-body", "large-answer"}, []string{"large-body"}},
		{"FUNC_CORS_ORIGINS", "off", []string{"cors", "get"}, []string{"cors"}},
		{"FUNC_DEBUG", "1", []string{"exception", "get"}, []string{"exception"}},
		{"FUNC_LOG_FORMAT", "json", []string{"access-log"}, nil},
		{"SHUTDOWN_TIMEOUT", "0.5", []string{"shutdown"}, []string{"shutdown"}},
		{"FUNC_MAX_WORKERS", "2", []string{"parallel"}, []string{"parallel"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			spoiled := subject
			spoiled.Phases = slices.Clone(subject.Phases)
			for i, phase := range spoiled.Phases {
				if phase.Phase == manifest.RuntimePhase {
					env := maps.Clone(phase.Env)
					env[c.name] = c.value
					spoiled.Phases[i].Env = env
				}
			}
			wants(t, spoiled, c.checks, c.want...)
		})
	}
	for _, name := range contract.Names() {
		if !failed[name] {
			t.Errorf("%s never failed", name)
		}
	}
}

// classicImage builds an image of testdata/classic.
func classicImage(t *testing.T, base string) string {
	t.Helper()
	const tag = "rtbuild-test/classic:1"
	build := exec.CommandContext(t.Context(), "docker", "build", "-q", "--build-arg", "BASE="+base, "-t", tag, "testdata/classic")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rmi", "-f", tag).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return tag
}
