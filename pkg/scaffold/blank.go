package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"text/template"

	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// blankFiles are what a blank runtime is made of: its functions are shell scripts.
//
//go:embed all:blank
var blankFiles embed.FS

// blankVersion is a blank runtime's version unless others are named.
const blankVersion = "1"

// proxyName is the name, in rtbuild.yaml, of the image that has the function proxy.
const proxyName = "proxy"

// sharedMakefile is what Makefiles of runtimes include, relative to the root.
const sharedMakefile = "hack/runtime.mk"

// blank is what the templates are filled with.
type blank struct {
	Name, Title string
	// Image is the repository of the runtime's image.
	Image    string
	Versions []string
	// Proxy is the repository of the image with the function proxy, and ProxyFolder
	// where its sources lie, relative to the root; without one the worker serves
	// clients itself.
	Proxy, ProxyFolder string
	// Makefile tells that the tree has targets for runtimes.
	Makefile bool
}

// blank fills the addition with a runtime that is like no other of the tree.
func (a *Addition) blank() error {
	if len(a.Versions) == 0 {
		a.Versions = []string{blankVersion}
	}
	fill := blank{Name: a.Runtime, Title: title(a.Runtime), Versions: a.Versions}
	namespace := "example/"
	for _, target := range a.tree.Project.Discovery.Targets {
		if target.Kind == discover.KindSupport && target.Name == proxyName {
			fill.Proxy, fill.ProxyFolder = target.Repository.Name, target.Context
		}
		if folder, _ := path.Split(target.Repository.Name); folder != "" {
			namespace = folder
		}
	}
	fill.Image = namespace + strings.ReplaceAll(a.Runtime, "_", "-")
	_, err := os.Stat(a.tree.path(sharedMakefile))
	fill.Makefile = err == nil
	a.prove = func(after *manifest.Tree) error {
		for _, r := range after.Runtimes {
			if r.ID == a.Runtime && len(r.Versions) == len(a.Versions) {
				return nil
			}
		}
		return errors.New("the runtime is not as it was written")
	}
	return fs.WalkDir(blankFiles, "blank", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return a.blankFile(file, fill)
	})
}

func (a *Addition) blankFile(file string, fill blank) error {
	source, err := blankFiles.ReadFile(file)
	if err != nil {
		return err
	}
	parsed, err := template.New(file).Option("missingkey=error").Parse(string(source))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, fill); err != nil {
		return fmt.Errorf("filling %s: %w", file, err)
	}
	name := strings.TrimPrefix(file, "blank/")
	if name == "manifest.jsonnet" {
		name = a.Runtime + ".jsonnet"
	}
	mode := fs.FileMode(0o644)
	if bytes.HasPrefix(source, []byte("#!")) {
		mode = 0o755
	}
	a.Files = append(a.Files, File{Path: a.Folder + "/" + name, Content: out.Bytes(), Mode: mode})
	return nil
}

// title is a name at the beginning of a sentence.
func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
