package release_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// BenchmarkPlan loads, checks and plans trees of several sizes: two targets
// for each runtime.
func BenchmarkPlan(b *testing.B) {
	for _, targets := range []int{100, 300, 1000} {
		b.Run(fmt.Sprint(targets), func(b *testing.B) {
			root := b.TempDir()
			largeTree(b, root, targets/2)
			b.ReportAllocs()
			for b.Loop() {
				project, err := release.Open(b.Context(), jsonnet.New(), root, &config.Config{})
				if err != nil {
					b.Fatal(err)
				}
				plan, err := project.Plan(nil)
				if err != nil {
					b.Fatal(err)
				}
				if len(plan.Steps) != targets {
					b.Fatalf("%d targets", len(plan.Steps))
				}
			}
		})
	}
}

// largeTree writes a tree of runtimes with one version each.
func largeTree(b *testing.B, root string, runtimes int) {
	b.Helper()
	write := func(name, content string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	var imports []string
	for i := range runtimes {
		id := "rt" + strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprintf("%04d", i))
		folder := "stable/" + id
		write(folder+"/Dockerfile.1", "FROM debian:bookworm-slim\nCOPY server.py /\n")
		write(folder+"/Dockerfile.init.1", "FROM debian:bookworm-slim\nRUN echo "+id+"\n")
		write(folder+"/server.py", "print('"+id+"')\n")
		write(folder+"/"+id+".jsonnet", fmt.Sprintf(`{
  ID: '%[1]s', depName: 'deps', fileNameSuffix: '.x',
  versions: [{ name: '%[1]s1', version: '1', images: [
    { phase: 'installation', image: 'kubeless/%[1]s-init:1@sha256:%064[2]x', command: 'true', env: { A: 'b' } },
    { phase: 'runtime', image: 'kubeless/%[1]s:1@sha256:%064[3]x' },
  ] }],
}
`, id, i, i+runtimes))
		imports = append(imports, "  import '"+folder+"/"+id+".jsonnet',\n")
	}
	write("runtimes.jsonnet", "[\n"+strings.Join(imports, "")+"]\n")
}
