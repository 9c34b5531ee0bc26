package jsonnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"
	"github.com/google/go-jsonnet/toolutils"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// An importer serves one evaluation. It reads each file once, whatever the
// number of paths that lead to it, and remembers what it served.
type importer struct {
	// interrupted is the evaluation's ctx.Err: the library offers no way to
	// hand a context to an import.
	interrupted func() error
	// document is the path of the file that nothing imports.
	document     string
	libraryPaths []string
	replace      func(path string, source []byte) []byte
	byRealPath   map[string]servedFile
	found        map[importKey]string
	folders      map[string]string // the real paths of folders
}

type servedFile struct {
	onDisk []byte
	served gojsonnet.Contents
}

// An importKey is an import as the library asks for it: the path as written,
// in the file that holds it ("" for the document itself and for the code of
// variables, which imports from the working directory).
type importKey struct{ from, path string }

func newImporter(ctx context.Context, libraryPaths []string, req provenance.Request) *importer {
	return &importer{
		interrupted:  ctx.Err,
		document:     req.File,
		libraryPaths: libraryPaths,
		replace:      req.Replace,
		byRealPath:   map[string]servedFile{},
		found:        map[importKey]string{},
		folders:      map[string]string{},
	}
}

// Import implements the library's Importer.
func (i *importer) Import(from, path string) (gojsonnet.Contents, string, error) {
	if err := i.interrupted(); err != nil {
		return gojsonnet.Contents{}, "", err
	}
	if from == "" && path == i.document {
		return i.readDocument()
	}
	candidates := []string{filepath.Join(filepath.Dir(from), path)}
	if filepath.IsAbs(path) {
		candidates = []string{filepath.Clean(path)}
	} else {
		for _, dir := range i.libraryPaths {
			candidates = append(candidates, filepath.Join(dir, path))
		}
	}
	for _, candidate := range candidates {
		contents, err := i.read(candidate)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return gojsonnet.Contents{}, "", fmt.Errorf("import %q: %w", path, err)
		}
		i.found[importKey{from, path}] = candidate
		return contents, candidate, nil
	}
	return gojsonnet.Contents{}, "", fmt.Errorf("import %q: no such file: tried %s", path, strings.Join(candidates, ", "))
}

// readDocument serves the document itself.
func (i *importer) readDocument() (gojsonnet.Contents, string, error) {
	contents, err := i.read(i.document)
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		// The message begins with the path anyway.
		err = pathError.Err
	}
	if err != nil {
		return gojsonnet.Contents{}, "", fmt.Errorf("the document cannot be read: %w", err)
	}
	i.found[importKey{"", i.document}] = i.document
	return contents, i.document, nil
}

func (i *importer) read(path string) (gojsonnet.Contents, error) {
	resolved, err := i.realPath(path)
	if err != nil {
		return gojsonnet.Contents{}, err
	}
	if file, ok := i.byRealPath[resolved]; ok {
		return file.served, nil
	}
	source, err := os.ReadFile(resolved)
	if err != nil {
		return gojsonnet.Contents{}, err
	}
	served := source
	if i.replace != nil {
		served = i.replace(resolved, source)
	}
	if isJsonnet(resolved) {
		served = asJsonnet(served)
	}
	file := servedFile{onDisk: source, served: gojsonnet.MakeContentsRaw(served)}
	i.byRealPath[resolved] = file
	return file.served, nil
}

// realPath is the absolute path of a file, without symbolic links. Each folder
// is looked up once: half of the time to read many small files is for that.
func (i *importer) realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	folder, err := i.realFolder(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return withoutLink(filepath.Join(folder, filepath.Base(path)))
}

// realFolder is realPath of a folder, an absolute path, by way of those that it is in.
func (i *importer) realFolder(path string) (string, error) {
	if folder, ok := i.folders[path]; ok {
		return folder, nil
	}
	folder := path
	if parent := filepath.Dir(path); parent != path {
		outer, err := i.realFolder(parent)
		if err != nil {
			return "", err
		}
		if folder, err = withoutLink(filepath.Join(outer, filepath.Base(path))); err != nil {
			return "", err
		}
	}
	i.folders[path] = folder
	return folder, nil
}

// withoutLink is a path in a real folder, or what the link that lies there leads to.
func withoutLink(path string) (string, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return filepath.EvalSymlinks(path)
	}
	return path, err
}

// isJsonnet tells by its name whether a file holds Jsonnet: an importer is not
// told whether it serves an import or an importstr.
func isJsonnet(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".jsonnet" || ext == ".libsonnet"
}

// asJsonnet is source as Jsonnet takes it, with the same lines and columns: lines
// end in LF alone, and spaces are in place of the byte order mark that some editors
// put before it. In a checkout with CRLF, Jsonnet itself keeps the CR in the lines of
// a text block, and takes an empty line for the block's end.
func asJsonnet(source []byte) []byte {
	if text, ok := bytes.CutPrefix(source, []byte("\ufeff")); ok {
		source = append([]byte("   "), text...)
	}
	return bytes.ReplaceAll(source, []byte("\r\n"), []byte("\n"))
}

// noteCR adds to an error about a text block that the lines of its file end in
// CRLF, if it is one that is not read without.
func (i *importer) noteCR(err error) error {
	var located *provenance.Error
	if !errors.As(err, &located) || !strings.Contains(strings.ToLower(located.Message), "text block") {
		return err
	}
	resolved, resolveErr := filepath.EvalSymlinks(located.Position.File)
	if file := i.byRealPath[resolved]; resolveErr == nil && !isJsonnet(resolved) && bytes.Contains(file.onDisk, []byte("\r\n")) {
		located.Message += "; its lines end in CRLF: save it with LF, or name it .libsonnet"
	}
	return err
}

func (i *importer) files() map[string][]byte {
	files := make(map[string][]byte, len(i.byRealPath))
	for path, file := range i.byRealPath {
		files[path] = file.onDisk
	}
	return files
}

// imported tells which of the files were read as Jsonnet. An Importer is not
// told whether it serves an import or an importstr, so this follows the
// import expressions from the document and the code of variables on, as far as
// they were evaluated.
func imported(vm *gojsonnet.VM, imp *importer, req provenance.Request, queue []source) map[string]bool {
	result := map[string]bool{}
	seen := map[string]bool{queue[0].path: true}
	if req.Snippet == nil {
		imp.markImported(result, queue[0].path)
	}
	for len(queue) > 0 {
		current := queue[0]
		queue = queue[1:]
		for _, path := range importPaths(current.node) {
			foundAt, evaluated := imp.found[importKey{current.path, path}]
			if !evaluated || seen[foundAt] {
				continue
			}
			seen[foundAt] = true
			// The syntax tree comes from the library's cache. One that does
			// not parse was never imported, or evaluation had failed.
			if next, _, err := vm.ImportAST(current.path, path); err == nil {
				imp.markImported(result, foundAt)
				queue = append(queue, source{foundAt, next})
			}
		}
	}
	return result
}

func (i *importer) markImported(result map[string]bool, path string) {
	if resolved, err := i.realPath(path); err == nil {
		result[resolved] = true
	}
}

// importPaths lists the paths of the import expressions in a desugared tree.
func importPaths(node ast.Node) []string {
	var paths []string
	pending := []ast.Node{node}
	for len(pending) > 0 {
		current := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		switch current := current.(type) {
		case *ast.Import:
			paths = append(paths, current.File.Value)
		case *ast.DesugaredObject:
			// The library's list of children leaves the assertions out.
			pending = append(pending, current.Asserts...)
		}
		pending = append(pending, toolutils.Children(current)...)
	}
	return paths
}
