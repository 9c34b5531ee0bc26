package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// Options say where a tree is.
type Options struct {
	// Root is the repository's folder.
	Root string
	// Entry is the root document, relative to Root; "runtimes.jsonnet" if
	// empty.
	Entry string
	// Folders hold the runtime folders, relative to Root; "stable" and
	// "incubator" if empty.
	Folders []string
}

// Load evaluates the root document and reads the runtimes in it. What is
// wrong inside the document is kept in Tree.Findings, all of it; the error is
// for a document that cannot be read or does not evaluate to a list.
func Load(ctx context.Context, ev provenance.Evaluator, opts Options) (*Tree, error) {
	root, entry, err := locate(opts)
	if err != nil {
		return nil, err
	}
	source, err := provenance.Load(ctx, ev, entry)
	if err != nil {
		return nil, fmt.Errorf("evaluating %s: %w", filepath.Base(entry), err)
	}
	var document any
	decoder := json.NewDecoder(bytes.NewReader(source.JSON))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("reading the evaluated %s: %w", filepath.Base(entry), err)
	}
	list, ok := document.([]any)
	if !ok {
		return nil, fmt.Errorf("%s:1: evaluates to %s, want a list of runtimes: [ (import 'stable/…'), … ]", entry, kindOf(document))
	}
	origins, specs, err := annotate(ctx, ev, source)
	if err != nil {
		return nil, err
	}
	folders := opts.Folders
	if len(folders) == 0 {
		folders = DefaultFolders()
	}
	d := &decoding{tree: &Tree{Root: root, Entry: entry, JSON: source.JSON}, origins: newOrigins(origins, entry), specs: specs, folders: folders}
	for i, item := range list {
		d.runtime(fmt.Sprintf("/%d", i), item)
	}
	d.validate()
	SortFindings(d.tree.Findings)
	return d.tree, nil
}

// annotate finds what the evaluated document does not hold: where its strings
// come from, and its hidden build fields. Each takes an evaluation of its own,
// the most expensive part of loading, so they go side by side.
func annotate(ctx context.Context, ev provenance.Evaluator, source *provenance.Document) (map[string]provenance.Position, [][][]hiddenField, error) {
	var specs [][][]hiddenField
	var specsErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		specs, specsErr = buildSpecs(ctx, ev, source.Entry)
	}()
	origins, err := source.Origins(ctx)
	<-done
	if err != nil {
		return nil, nil, fmt.Errorf("tracing %s: %w", filepath.Base(source.Entry), err)
	}
	return origins, specs, specsErr
}

// DefaultFolders are the folders that hold runtime folders unless configured
// otherwise.
func DefaultFolders() []string { return []string{"stable", "incubator"} }

// Valid returns an *InvalidError if the tree's findings include errors.
func (t *Tree) Valid() error {
	if errs := Errors(t.Findings); len(errs) > 0 {
		return &InvalidError{Findings: errs}
	}
	return nil
}

func locate(opts Options) (root, entry string, err error) {
	root, err = filepath.Abs(opts.Root)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return "", "", fmt.Errorf("opening the repository: %w", err)
	}
	name := opts.Entry
	if name == "" {
		name = "runtimes.jsonnet"
	}
	entry = name
	if !filepath.IsAbs(entry) {
		entry = filepath.Join(root, entry)
	}
	resolved, err := filepath.EvalSymlinks(entry)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("%s: no such file; run in a repository of runtimes, or name it with --directory and the root document with --manifest", entry)
	}
	if err != nil {
		return "", "", fmt.Errorf("opening %s: %w", entry, err)
	}
	if info, err := os.Stat(resolved); err == nil && !info.Mode().IsRegular() {
		return "", "", fmt.Errorf("%s: not a file; --manifest takes the root document, such as runtimes.jsonnet", entry)
	}
	if !within(root, resolved) {
		return "", "", fmt.Errorf("%s: the manifest lies outside of the repository %s; rtbuild changes nothing outside of it: give --directory the folder that holds both", resolved, root)
	}
	return root, resolved, nil
}

// within tells whether path is root or lies under it; both are real paths.
func within(root, path string) bool {
	return path == root || strings.HasPrefix(path, strings.TrimSuffix(root, string(filepath.Separator))+string(filepath.Separator))
}

// hiddenBuild evaluates to the hidden build fields, in the document's shape:
// for each runtime, version and image an object {set, build}. %s is the root
// document's base name as a Jsonnet string.
const hiddenBuild = `
local document = import %s;
local list(x) = if std.isArray(x) then x else [];
local member(x, field) = if std.isObject(x) && std.objectHasAll(x, field) then x[field] else null;
[
  [
    [
      { set: std.isObject(image) && std.objectHasAll(image, 'build'), build: member(image, 'build') }
      for image in list(member(version, 'images'))
    ]
    for version in list(member(runtime, 'versions'))
  ]
  for runtime in document
]
`

type hiddenField struct {
	Set   bool            `json:"set"`
	Build json.RawMessage `json:"build"`
}

// buildSpecs reads the hidden build fields, by runtime, version and image.
func buildSpecs(ctx context.Context, ev provenance.Evaluator, entry string) ([][][]hiddenField, error) {
	name, err := json.Marshal(filepath.Base(entry))
	if err != nil {
		return nil, fmt.Errorf("quoting %s: %w", entry, err)
	}
	result, err := ev.Evaluate(ctx, provenance.Request{File: entry, Snippet: []byte(fmt.Sprintf(hiddenBuild, name))})
	if err != nil {
		return nil, fmt.Errorf("evaluating the build fields of %s: %w", filepath.Base(entry), err)
	}
	var specs [][][]hiddenField
	if err := json.Unmarshal(result.JSON, &specs); err != nil {
		return nil, fmt.Errorf("reading the build fields of %s: %w", filepath.Base(entry), err)
	}
	return specs, nil
}
