package manifest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// BenchmarkLoad loads trees with ten images in each manifest. Time and
// allocations for each image are to be the same for all sizes: see ns/image.
func BenchmarkLoad(b *testing.B) {
	for _, images := range []int{100, 300, 1000} {
		b.Run(fmt.Sprintf("images=%d", images), func(b *testing.B) {
			root := b.TempDir()
			var entry strings.Builder
			for folder := range images / 10 {
				id := fmt.Sprintf("lang%c%c", 'a'+folder/26, 'a'+folder%26)
				var versions strings.Builder
				for version := range 10 {
					fmt.Fprintf(&versions, "{ name: '%s%d', version: '%d', images: [{ phase: 'runtime', image: 'acme/%s:%d@sha256:%064x' }] },\n", id, version, version, id, version, 10*folder+version)
				}
				path := filepath.Join(root, "stable", id, id+".jsonnet")
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(path, fmt.Appendf(nil, "{ ID: '%s', versions: [\n%s] }\n", id, versions.String()), 0o644); err != nil {
					b.Fatal(err)
				}
				fmt.Fprintf(&entry, "import 'stable/%s/%s.jsonnet',\n", id, id)
			}
			if err := os.WriteFile(filepath.Join(root, "runtimes.jsonnet"), []byte("["+entry.String()+"]\n"), 0o644); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				tree, err := manifest.Load(b.Context(), jsonnet.New(), manifest.Options{Root: root})
				if err != nil {
					b.Fatal(err)
				}
				if len(tree.Runtimes) != images/10 {
					b.Fatalf("%d runtimes, want %d", len(tree.Runtimes), images/10)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*images), "ns/image")
		})
	}
}
