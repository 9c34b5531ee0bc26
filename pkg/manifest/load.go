package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	// Unlocated leaves out where things are, which takes more evaluations:
	// Image.Position, Runtime.File, Folder and Stability. A document with findings
	// is located all the same.
	Unlocated bool
}

// Load evaluates the root document and reads the runtimes in it. What is
// wrong inside the document is kept in Tree.Findings, all of it; the error is
// for a document that cannot be read or does not evaluate to a list.
func Load(ctx context.Context, ev provenance.Evaluator, opts Options) (*Tree, error) {
	root, entry, err := locate(opts)
	if err != nil {
		return nil, err
	}
	result, hidden, err := evaluate(ctx, ev, entry)
	if err != nil {
		return nil, err
	}
	var document any
	decoder := json.NewDecoder(bytes.NewReader(result.JSON))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("reading the evaluated %s: %w", filepath.Base(entry), err)
	}
	list, ok := document.([]any)
	if !ok {
		return nil, fmt.Errorf("%s:1: evaluates to %s, want a list of runtimes: [ (import 'stable/…'), … ]", entry, kindOf(document))
	}
	returns, err := withCarriageReturns(result.JSON)
	if err != nil {
		return nil, err
	}
	folders := opts.Folders
	if len(folders) == 0 {
		folders = DefaultFolders()
	}
	decode := func(known map[string]provenance.Position) *Tree {
		d := &decoding{tree: &Tree{Root: root, Entry: entry, JSON: result.JSON, Files: slices.Sorted(maps.Keys(result.Files))}, origins: newOrigins(known, entry), hidden: hidden, folders: folders, known: map[Object][]Field{}}
		d.document(list)
		d.carriageReturns(returns, result)
		SortFindings(d.tree.Findings)
		return d.tree
	}
	if opts.Unlocated {
		if tree := decode(nil); len(tree.Findings) == 0 {
			return tree, nil
		}
	}
	source, err := provenance.NewDocument(ev, entry, result)
	if err != nil {
		return nil, err
	}
	origins, err := source.Origins(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing %s: %w", filepath.Base(entry), err)
	}
	return decode(origins), nil
}

// DefaultEntry is the root document's name unless configured otherwise.
const DefaultEntry = "runtimes.jsonnet"

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
		name = DefaultEntry
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

// hiddenFields evaluates to the hidden fields of the document, in its shape: for
// each runtime and version an object of its eol, null if there is none, and for each
// image a list of its build, empty if there is none. It takes the document to be
// well-formed, which saves a third of the time of an evaluation; anyHidden is the
// same for every document.
const hiddenFields = `[[{
  eol: if 'eol' in version then version.eol,
  images: [if 'build' in image then [image.build] else [] for image in version.images],
} for version in runtime.versions] for runtime in document]`

const anyHidden = `
local list(x) = if std.isArray(x) then x else [];
local member(x, field) = if std.isObject(x) && std.objectHasAll(x, field) then x[field] else null;
[
  [
    {
      eol: member(version, 'eol'),
      images: [
        if std.isObject(image) && std.objectHasAll(image, 'build') then [image.build] else []
        for image in list(member(version, 'images'))
      ],
    }
    for version in list(member(runtime, 'versions'))
  ]
  for runtime in list(document)
]
`

// hiddenVersion has the hidden fields of one version, as JSON.
type hiddenVersion struct {
	EOL    json.RawMessage     `json:"eol"`
	Images [][]json.RawMessage `json:"images"`
}

// evaluate loads the document, and reads the hidden fields in it, by runtime
// and version. An evaluation is the most expensive part of
// loading, so there is one for both, unless it fails: then the two apart say
// why.
func evaluate(ctx context.Context, ev provenance.Evaluator, entry string) (provenance.Result, [][]hiddenVersion, error) {
	result, fields, err := provenance.EvaluateWith(ctx, ev, entry, hiddenFields)
	if err != nil {
		if result, err = ev.Evaluate(ctx, provenance.Request{File: entry}); err != nil {
			return result, nil, fmt.Errorf("evaluating %s: %w", filepath.Base(entry), err)
		}
		if fields, err = evaluateHidden(ctx, ev, entry); err != nil {
			return result, nil, fmt.Errorf("evaluating the hidden fields of %s: %w", filepath.Base(entry), err)
		}
	}
	var hidden [][]hiddenVersion
	if err := json.Unmarshal(fields, &hidden); err != nil {
		return result, nil, fmt.Errorf("reading the hidden fields of %s: %w", filepath.Base(entry), err)
	}
	return result, hidden, nil
}

// evaluateHidden evaluates the hidden fields alone.
func evaluateHidden(ctx context.Context, ev provenance.Evaluator, entry string) ([]byte, error) {
	result, err := ev.Evaluate(ctx, provenance.Request{File: entry, Snippet: []byte(anyHidden)})
	return result.JSON, err
}
