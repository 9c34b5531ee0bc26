// Command tree writes a repository of function runtimes to measure with: N
// images with their manifests and Dockerfiles, and a docker-bake.hcl that
// makes the same images.
//
//	go run ./bench/tree -dir /tmp/tree -images 30 -registry 127.0.0.1:5000/bench
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	var t tree
	flag.StringVar(&t.dir, "dir", "", "`folder` to write to; files that are there already are replaced")
	flag.IntVar(&t.images, "images", 30, "how many images")
	flag.StringVar(&t.registry, "registry", "", "`HOST[/PREFIX]` that bake pushes to unless REGISTRY says otherwise")
	flag.StringVar(&t.base, "base", "scratch", "`image` that all are built from")
	flag.StringVar(&t.busybox, "busybox", "/bin/busybox", "static busybox `file` for the images' steps; empty for trees that are only planned")
	flag.StringVar(&t.salt, "salt", "", "`text` in each image's first layer: another text makes a tree that no engine has cached")
	flag.Parse()
	if err := t.write(); err != nil {
		fmt.Fprintln(os.Stderr, "tree:", err)
		os.Exit(1)
	}
}

// A tree has folders of three versions with two images each, a runtime and an
// init image; the last folder has what is left over.
type tree struct {
	dir, registry, base, busybox, salt string
	images                             int
}

const versionsPerFolder = 3

func (t *tree) write() error {
	if t.dir == "" || t.images < 1 {
		return fmt.Errorf("-dir and a positive -images are needed")
	}
	var busybox []byte
	if t.busybox != "" {
		var err error
		if busybox, err = os.ReadFile(t.busybox); err != nil {
			return fmt.Errorf("reading busybox: %w", err)
		}
	}
	root, bake := &document{}, &document{}
	var targets []string
	root.line("[")
	for first := 0; first < t.images; first += 2 * versionsPerFolder {
		f := folder{tree: t, id: id(first / (2 * versionsPerFolder)), images: min(2*versionsPerFolder, t.images-first)}
		if err := f.write(busybox); err != nil {
			return err
		}
		root.line("  import 'stable/%s/%s.jsonnet',", f.id, f.id)
		targets = append(targets, f.bake(bake)...)
	}
	root.line("]")
	if err := t.file("runtimes.jsonnet", root.bytes(), 0o644); err != nil {
		return err
	}
	group := &document{}
	group.line("variable \"REGISTRY\" { default = %q }", t.registry)
	group.line("group \"default\" { targets = [%s] }", strings.Join(targets, ", "))
	if err := t.file(".gitignore", []byte("/.rtbuild/\n"), 0o644); err != nil {
		return err
	}
	return t.file("docker-bake.hcl", append(group.bytes(), bake.bytes()...), 0o644)
}

func (t *tree) file(path string, content []byte, mode os.FileMode) error {
	path = filepath.Join(t.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, mode)
}

// id is the nth runtime's, of letters alone: the controller takes no others.
func id(n int) string {
	return fmt.Sprintf("lang%c%c", 'a'+n/26, 'a'+n%26)
}
