package check

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/buildcontext"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// unsettled warns of what a step reads that is another one after each release or in
// each clone: files that a release writes digests into, and git's own. What is wrong
// with a context that cannot be read is said where it is built.
func unsettled(ctx context.Context, root string, step build.Step, reads, pinned []string) []manifest.Finding {
	dir, err := buildcontext.Open(filepath.Join(root, step.Context), filepath.Join(root, step.Dockerfile), "")
	if err != nil {
		return nil
	}
	names, err := dir.Names(ctx, reads)
	if err != nil {
		return nil
	}
	ignore := path.Join(step.Context, ".dockerignore")
	if _, err := os.Stat(filepath.Join(root, step.Dockerfile+".dockerignore")); err == nil {
		ignore = step.Dockerfile + ".dockerignore"
	}
	var findings []manifest.Finding
	warn := func(name, why string) {
		findings = append(findings, manifest.Finding{
			Severity: isWarning, Rule: RuleUnsettled, Position: place(root, step.Dockerfile, 0),
			Message: fmt.Sprintf("%s reads %s, %s: hide it in %s", step.Name, path.Join(step.Context, name), why, ignore),
		})
	}
	for _, name := range names {
		switch {
		case path.Base(name) == ".git":
			warn(name, "which differs in each clone and after each commit")
		case slices.Contains(pinned, dir.Path(name)):
			warn(name, "where releases write digests, so that each makes it stale again")
		}
	}
	return findings
}
