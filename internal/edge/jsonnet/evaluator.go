// Package jsonnet evaluates Jsonnet with google/go-jsonnet and finds string
// literals in its sources. It is the only package that knows the library.
package jsonnet

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// maxStack is the number of nested Jsonnet calls after which an evaluation is
// taken for endless. It is the default of the jsonnet command.
const maxStack = 500

// snippetName is the file name of a Request.Snippet in messages.
const snippetName = "<snippet>"

// An Evaluator evaluates Jsonnet documents. It keeps nothing between calls:
// every call reads the files anew. It is safe for concurrent use.
type Evaluator struct {
	libraryPaths []string
	variables    []Variable
}

var _ provenance.Evaluator = (*Evaluator)(nil)

// New returns an Evaluator. An import is looked for beside the file that
// imports it, then in each of the library paths, in order. Sources named
// .jsonnet and .libsonnet are read with lines that end in LF, whatever they end
// in on disk.
func New(libraryPaths ...string) *Evaluator {
	return &Evaluator{libraryPaths: libraryPaths}
}

// Evaluate implements provenance.Evaluator. A document that Jsonnet rejects
// is a *provenance.Error. Output of std.trace is dropped: a document is
// evaluated many times, mostly with changed digests.
//
// When ctx ends, Evaluate returns at once. The library cannot be interrupted,
// so an evaluation under way runs on in the background until its next import
// or its end.
func (e *Evaluator) Evaluate(ctx context.Context, req provenance.Request) (provenance.Result, error) {
	if err := ctx.Err(); err != nil {
		return provenance.Result{}, fmt.Errorf("evaluating %s: %w", req.File, err)
	}
	if !filepath.IsAbs(req.File) {
		return provenance.Result{}, fmt.Errorf("evaluating %s: the path is not absolute", req.File)
	}
	type outcome struct {
		result provenance.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := e.evaluate(ctx, req)
		done <- outcome{result, err}
	}()
	select {
	case out := <-done:
		return out.result, out.err
	case <-ctx.Done():
		return provenance.Result{}, fmt.Errorf("evaluating %s: %w", req.File, ctx.Err())
	}
}

func (e *Evaluator) evaluate(ctx context.Context, req provenance.Request) (result provenance.Result, err error) {
	defer recoverInto(&err, req.File)
	imp := newImporter(ctx, e.libraryPaths, req)
	vm := gojsonnet.MakeVM()
	vm.MaxStack = maxStack
	vm.SetTraceOut(io.Discard)
	vm.Importer(imp)
	e.define(vm, req)

	var node ast.Node
	root := req.File
	if req.Snippet != nil {
		root = filepath.Join(filepath.Dir(req.File), snippetName)
		node, err = gojsonnet.SnippetToAST(root, e.about(req))
	} else {
		node, _, err = vm.ImportAST("", req.File)
	}
	if err != nil {
		return provenance.Result{}, imp.noteCR(convertError(root, err))
	}
	out, err := vm.Evaluate(node)
	if err != nil {
		if ctx.Err() != nil {
			return provenance.Result{}, fmt.Errorf("evaluating %s: %w", req.File, ctx.Err())
		}
		return provenance.Result{}, imp.noteCR(convertError(root, err))
	}
	return provenance.Result{
		JSON:     []byte(out),
		Files:    imp.files(),
		Imported: sync.OnceValue(func() map[string]bool { return imported(vm, imp, req, e.sources(root, node)) }),
	}, nil
}

// recoverInto turns a panic of the library, whose parser panics on some
// malformed input, into an error.
func recoverInto(err *error, file string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: the Jsonnet library failed: %v", file, r)
	}
}
