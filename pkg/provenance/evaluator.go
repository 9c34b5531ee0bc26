package provenance

import (
	"context"
	"fmt"
)

// An Evaluator evaluates Jsonnet. It is the edge to the Jsonnet library.
type Evaluator interface {
	// Evaluate evaluates one document. Errors carry file:line:column where
	// Jsonnet gives it.
	Evaluate(ctx context.Context, req Request) (Result, error)
	// Literals lists the string literals of a Jsonnet source that are
	// values, in source order: no field names, no import paths, no text
	// blocks.
	Literals(file string, source []byte) ([]Literal, error)
	// Outline lists the parts of a Jsonnet source, as it is written.
	Outline(file string, source []byte) (Outline, error)
}

// A Request says what to evaluate.
type Request struct {
	// File is the absolute path of the document.
	File string
	// Snippet, if not nil, is an expression about the document, to be evaluated
	// instead of it. The document is called document there; one that is a
	// function is called first.
	Snippet []byte
	// Replace, if not nil, is asked for the content to use for each file that
	// evaluation reads (by import or importstr). It gets the file's real path
	// (symbolic links resolved) and its bytes on disk.
	Replace func(path string, source []byte) []byte
}

// A Result is an evaluated document.
type Result struct {
	// JSON is the document as Jsonnet prints it: indented, keys sorted, a
	// newline at the end.
	JSON []byte
	// Files holds every file that was read: real absolute path to the bytes
	// on disk (not what Replace made of them).
	Files map[string][]byte
	// Imported are the paths in Files that were read as Jsonnet, not by
	// importstr. Few ask, and it takes a while to find out.
	Imported func() map[string]bool
}

// A Literal is one string literal in a source file.
type Literal struct {
	// Value is what it evaluates to.
	Value string
	// Start and End are byte offsets of the literal with its quotes.
	Start, End int
	// CloseQuote is the byte offset of the closing quote: text inserted there
	// is appended to the value.
	CloseQuote int
	// Line and Column are 1-based; columns count bytes.
	Line, Column int
}

// A Position is a place in a source file.
type Position struct {
	// File is an absolute path.
	File string
	// Line and Column are 1-based; zero means unknown.
	Line, Column int
}

// String is "file:line:column", as far as it is known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}
