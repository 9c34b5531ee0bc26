//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// The workflow that looks at changes builds what a change affects, pushes
// nothing, needs no secret, and sums up what would be published; on a branch that
// is new, too.
func TestChecksWorkflow(t *testing.T) {
	const builder = "docker"
	if !slices.Contains(harness.Builders(), builder) {
		t.Skip("other engines do the same")
	}
	host := harness.Registry(t, harness.RegistryConfig{})
	dest := destinationOf(host, builder)
	harness.Want(t, 0, small(t), "build", "--push", "--builder", builder, "--registry", dest+"-mirror", "base")
	p := matrixProject(t, dest+"-mirror")
	base := p.git("rev-parse", "HEAD")
	p.git("checkout", "-q", "-b", "change")
	harness.Write(t, filepath.Join(p.root, "stable/b/Dockerfile.1"), stamped("jobs/hub", "b-1", "ENV A=b\n"))
	harness.Write(t, filepath.Join(p.root, "stable/b/b.jsonnet"), strings.Replace(harness.Read(t, filepath.Join(p.root, "stable/b/b.jsonnet")), "ID: 'b'", "ID: 'b', depName: 'deps.txt'", 1))
	p.git("commit", "-q", "-a", "-m", "x")
	p.git("push", "-q", "-u", "origin", "change")
	o := runner{
		origin: p.origin, branch: "change",
		vars: map[string]any{"VERIFY": "no"}, secrets: map[string]any{},
		env: []string{"PATH=" + harness.PathWithBinary(), "RTBUILD_BUILDER=" + builder, "RTBUILD_REGISTRY=" + dest},
	}
	readYAML(t, "../../.github/workflows/ci.yml", &o.workflow)
	repository := map[string]any{"default_branch": "main"}
	for name, event := range map[string]map[string]any{
		"pull request": {"repository": repository, "pull_request": map[string]any{"base": map[string]any{"sha": base}}},
		"new branch":   {"repository": repository, "before": strings.Repeat("0", 40)},
	} {
		t.Run(name, func(t *testing.T) {
			o.event = event
			ran := o.run(t)
			if ran.status["affected"] != "success" || ran.status["images"] != "success" {
				t.Fatalf("the jobs ended so: %v\n%s", ran.status, harness.Tail(ran.log.String()))
			}
			summary := harness.Read(t, filepath.Join(ran.dir, "artifacts/summary/summary.md"))
			for _, part := range []string{"| b:1 | b 1 |", "+{ ID: 'b', depName: 'deps.txt'", `+        "depName": "deps.txt"`} {
				if !strings.Contains(summary, part) {
					t.Errorf("the summary lacks %q:\n%s", part, summary)
				}
			}
			if all := strings.Contains(summary, "| a:1"); all != (name == "new branch") {
				t.Errorf("the summary has a:1: %v\n%s", all, summary)
			}
			for _, image := range []string{"hub:latest", "b:1"} {
				if digest := harness.DigestAt(t, dest+"/jobs/"+image); digest != "" {
					t.Errorf("%s was pushed: %s", image, digest)
				}
			}
		})
	}
}
