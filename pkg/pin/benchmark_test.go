package pin_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/pin"
)

// BenchmarkCompute pins a tree of 60 images: 20 runtimes with a manifest each,
// with a version of three phases.
func BenchmarkCompute(b *testing.B) {
	for _, form := range []struct{ name, image string }{
		{"pinned", `"kubeless/%s:%d@sha256:<a>"`},
		{"unpinned", `"kubeless/%s:%d"`},
		{"formatted", `"kubeless/%%s:%%s" %% ["%s", "%d"]`},
	} {
		b.Run(form.name, func(b *testing.B) {
			dir, entry, changes := benchmarkTree(b, form.image)
			for b.Loop() {
				plan, err := pin.Compute(context.Background(), jsonnet.New(), dir, entry, changes)
				if err != nil {
					b.Fatal(err)
				}
				if len(plan.Files) != 20 {
					b.Fatalf("%d files change", len(plan.Files))
				}
			}
		})
	}
}

func benchmarkTree(b *testing.B, image string) (dir, entry string, changes []pin.Change) {
	dir = b.TempDir()
	var root strings.Builder
	root.WriteString("[\n")
	for r := range 20 {
		id := fmt.Sprintf("lang%c", 'a'+r)
		var manifest strings.Builder
		fmt.Fprintf(&manifest, "{\n  ID: %q,\n  depName: \"deps.txt\",\n  fileNameSuffix: \".%s\",\n  versions: [{\n    name: %q,\n    version: \"1\",\n    images: [\n", id, id, id+"1")
		for p, phase := range []string{"installation", "compilation", "runtime"} {
			fmt.Fprintf(&manifest, "      { phase: %q, image: %s, command: \"run %s\" },\n",
				phase, expand(fmt.Sprintf(image, fmt.Sprintf("%s-%s", id, phase), p)), phase)
			changes = append(changes, pin.Change{
				Pointer: fmt.Sprintf("/%d/versions/0/images/%d/image", r, p),
				Digest:  fmt.Sprintf("sha256:%064x", 100*r+p),
			})
		}
		manifest.WriteString("    ],\n  }],\n}\n")
		writeFile(b, filepath.Join(dir, "stable", id, id+".jsonnet"), manifest.String())
		fmt.Fprintf(&root, "  import \"stable/%s/%s.jsonnet\",\n", id, id)
	}
	root.WriteString("]\n")
	entry = filepath.Join(dir, "runtimes.jsonnet")
	writeFile(b, entry, root.String())
	return dir, entry, changes
}
