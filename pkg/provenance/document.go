// Package provenance tells which bytes of which Jsonnet file a value of the
// evaluated document comes from.
//
// It does not interpret Jsonnet: it lets Jsonnet say so. Marks are put into
// the sources in memory, the document is evaluated again, and where a mark
// comes out, the marked bytes come out. An answer counts only if the document
// is otherwise the same to the byte.
package provenance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// A Document is an evaluated Jsonnet document.
type Document struct {
	// Entry is the file that was evaluated.
	Entry string
	// Result is the evaluation, nothing marked.
	Result
	// Strings are the string tokens of Result.JSON.
	Strings []String

	evaluator Evaluator
}

// Load evaluates the document in the file entry, an absolute path.
func Load(ctx context.Context, ev Evaluator, entry string) (*Document, error) {
	result, err := ev.Evaluate(ctx, Request{File: entry})
	if err != nil {
		return nil, err
	}
	return NewDocument(ev, entry, result)
}

// EvaluateWith evaluates the document in the file entry, an absolute path, together
// with an expression about it, which is called document there: a second evaluation
// would do all of the first one's work again. The expression's value comes as JSON. The
// positions in an error may be those of the text that was evaluated, so ask for the
// document and for the expression apart to tell anybody what is wrong.
func EvaluateWith(ctx context.Context, ev Evaluator, entry, expression string) (Result, []byte, error) {
	result, err := ev.Evaluate(ctx, Request{
		File:    entry,
		Snippet: fmt.Appendf(nil, "{ document: document, expression: %s }", expression),
	})
	if err != nil {
		return Result{}, nil, err
	}
	var both struct{ Document, Expression json.RawMessage }
	if err := json.Unmarshal(result.JSON, &both); err != nil {
		return Result{}, nil, fmt.Errorf("reading the evaluated document: %w", err)
	}
	// As it is on its own: one level of indentation less. No string of a JSON
	// document holds a line break as such.
	result.JSON = append(bytes.ReplaceAll(both.Document, []byte("\n   "), []byte("\n")), '\n')
	return result, both.Expression, nil
}

// NewDocument is the document in the file entry of which result is the evaluation.
func NewDocument(ev Evaluator, entry string, result Result) (*Document, error) {
	tokens, err := Strings(result.JSON)
	if err != nil {
		return nil, err
	}
	return &Document{Entry: entry, Result: result, Strings: tokens, evaluator: ev}, nil
}

// EvaluateEdited is the JSON of the document with edits in its files. Nothing
// is written.
func (d *Document) EvaluateEdited(ctx context.Context, edits []Edit) ([]byte, error) {
	edited, err := d.edited(edits)
	if err != nil {
		return nil, err
	}
	result, err := d.evaluator.Evaluate(ctx, Request{
		File: d.Entry,
		Replace: func(path string, source []byte) []byte {
			if replacement, ok := edited[path]; ok {
				return replacement
			}
			// The document as it was loaded, also where a file has been
			// changed since.
			if loaded, ok := d.Files[path]; ok {
				return loaded
			}
			return source
		},
	})
	return result.JSON, err
}

func (d *Document) edited(edits []Edit) (map[string][]byte, error) {
	byFile := map[string][]Edit{}
	for _, edit := range edits {
		byFile[edit.File] = append(byFile[edit.File], edit)
	}
	edited := make(map[string][]byte, len(byFile))
	for file, list := range byFile {
		source, ok := d.Files[file]
		if !ok {
			return nil, fmt.Errorf("editing %s: the document does not read this file", file)
		}
		content, err := Apply(source, list)
		if err != nil {
			return nil, err
		}
		edited[file] = content
	}
	return edited, nil
}

// Fake is 64 lower-case hex digits that belong to one place in one file: the
// text of a mark that looks like a digest.
func Fake(file string, offset int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "rtbuild mark\x00%s\x00%d", file, offset))
	return hex.EncodeToString(sum[:])
}

// A Trace is what became of one mark.
type Trace struct {
	// Hits are the places where the marked text comes out. A source text
	// that does not reach the document has none.
	Hits []Hit
	// Err tells why nothing is known: with this mark the document cannot be
	// evaluated, or changes by more than the marked text. Its logic depends
	// on that text.
	Err error
}

// A Hit is a place in the document as it was loaded.
type Hit struct {
	// String is the index into Document.Strings.
	String int
	// Offset is the byte offset into Result.JSON at which the marked text
	// begins, or where a mark that only inserts would be inserted.
	Offset int
}

// errDepends is the Err of a mark without which the document is another.
var errDepends = errors.New("with another text there, the document differs in more than that text")

// errUnexplored is the Err of a mark that was left out for want of attempts.
var errUnexplored = errors.New("not traced: too much of the document depends on its literals")

// Trace evaluates the document with marks: edits whose Text is unique, all of
// one length, and comes through JSON unescaped. If the document then differs
// by more than the marks, it tries halves of them, until it knows which marks
// the document depends on. At most limit evaluations are made, any number if
// it is zero. The result has one Trace for each mark.
func (d *Document) Trace(ctx context.Context, marks []Edit, limit int) ([]Trace, error) {
	for _, mark := range marks {
		if len(mark.Text) == 0 || len(mark.Text) != len(marks[0].Text) {
			return nil, fmt.Errorf("tracing: the marks differ in length")
		}
	}
	traces := make([]Trace, len(marks))
	type group struct{ from, to int }
	pending := []group{{0, len(marks)}}
	for attempts := 0; len(pending) > 0; {
		next := pending[0]
		pending = pending[1:]
		if next.from == next.to {
			continue
		}
		if limit > 0 && attempts == limit {
			setErr(traces[next.from:next.to], errUnexplored)
			continue
		}
		attempts++
		err := d.probe(ctx, marks[next.from:next.to], traces[next.from:next.to])
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("tracing %s: %w", d.Entry, ctx.Err())
		case err == nil:
		case next.to-next.from == 1:
			traces[next.from].Err = err
		default:
			middle := (next.from + next.to) / 2
			pending = append(pending, group{next.from, middle}, group{middle, next.to})
		}
	}
	return traces, nil
}

func setErr(traces []Trace, err error) {
	for i := range traces {
		traces[i].Err = err
	}
}

// probe evaluates the document with all marks and fills in their hits. An
// error means that the document depends on some of them.
func (d *Document) probe(ctx context.Context, marks []Edit, traces []Trace) error {
	output, err := d.EvaluateEdited(ctx, marks)
	if err != nil {
		return fmt.Errorf("with another text there, the document cannot be evaluated: %w", err)
	}
	restored, hits := d.unmark(output, marks)
	if !bytes.Equal(restored, d.JSON) {
		return errDepends
	}
	for i, offsets := range hits {
		for _, offset := range offsets {
			at := stringAt(d.Strings, offset)
			if at < 0 {
				return errDepends
			}
			traces[i].Hits = append(traces[i].Hits, Hit{String: at, Offset: offset})
		}
	}
	return nil
}

// unmark puts the original text in place of every mark in output, and tells
// the offsets at which the result has it, by mark.
func (d *Document) unmark(output []byte, marks []Edit) ([]byte, [][]int) {
	length := len(marks[0].Text)
	byText := make(map[string]int, len(marks))
	var first [256]bool
	for i, mark := range marks {
		byText[mark.Text] = i
		first[mark.Text[0]] = true
	}
	restored := make([]byte, 0, len(output))
	hits := make([][]int, len(marks))
	for i := 0; i < len(output); {
		if first[output[i]] && i+length <= len(output) {
			if n, ok := byText[string(output[i:i+length])]; ok {
				hits[n] = append(hits[n], len(restored))
				restored = append(restored, d.Files[marks[n].File][marks[n].Start:marks[n].End]...)
				i += length
				continue
			}
		}
		restored = append(restored, output[i])
		i++
	}
	return restored, hits
}
