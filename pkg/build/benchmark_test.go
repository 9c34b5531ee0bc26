package build_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// BenchmarkPlan matches Dockerfiles with images and puts the targets in order,
// the manifests being loaded. Time and allocations for each target are to be
// the same for all sizes: see ns/target.
func BenchmarkPlan(b *testing.B) {
	for _, targets := range []int{100, 300, 1000} {
		b.Run(fmt.Sprintf("targets=%d", targets), func(b *testing.B) {
			tree := benchmarkTree(b, targets)
			b.ReportAllocs()
			for b.Loop() {
				discovery, err := discover.Discover(tree, discover.Options{})
				if err != nil {
					b.Fatal(err)
				}
				plan, err := build.NewPlan(tree.Root, discovery.Targets, discovery.Targets, nil)
				if err != nil {
					b.Fatal(err)
				}
				if len(plan.Steps) != targets {
					b.Fatalf("%d steps, want %d", len(plan.Steps), targets)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*targets), "ns/target")
		})
	}
}

// benchmarkTree is a loaded tree of folders with ten versions each, all of
// them built from one hub image of the folder.
func benchmarkTree(b *testing.B, targets int) *manifest.Tree {
	b.Helper()
	root := b.TempDir()
	write := func(path, content string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	var entry strings.Builder
	for folder := range targets / 10 {
		id := fmt.Sprintf("lang%c%c", 'a'+folder/26, 'a'+folder%26)
		var versions strings.Builder
		for version := range 10 {
			fmt.Fprintf(&versions, "{ name: '%s%d', version: '%d', images: [{ phase: 'runtime', image: 'acme/%s:%d' }] },\n", id, version, version, id, version)
			base := "debian:bookworm-slim"
			if version > 0 {
				base = "acme/" + id + ":0"
			}
			write(fmt.Sprintf("stable/%s/Dockerfile.%d", id, version), "FROM "+base+"\nCOPY run /run\n")
		}
		write(fmt.Sprintf("stable/%s/%s.jsonnet", id, id), fmt.Sprintf("{ ID: '%s', versions: [\n%s] }\n", id, versions.String()))
		fmt.Fprintf(&entry, "import 'stable/%s/%s.jsonnet',\n", id, id)
	}
	write("runtimes.jsonnet", "["+entry.String()+"]\n")
	tree, err := manifest.Load(b.Context(), jsonnet.New(), manifest.Options{Root: root})
	if err != nil {
		b.Fatal(err)
	}
	return tree
}
