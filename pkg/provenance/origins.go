package provenance

import (
	"context"
	"sort"
)

// originsLimit bounds the evaluations that Origins spends on documents whose
// logic depends on many literals; one is enough for most.
const originsLimit = 64

// Origins tells where the strings of the document come from: JSON pointer to the
// position of the string literal. A string that is put together from several
// literals has the position of the longest. Where nothing certain is known, as for
// text blocks and for literals on whose value the document's logic depends, there
// is no entry: an entry is never a guess.
func (d *Document) Origins(ctx context.Context) (map[string]Position, error) {
	sources, err := d.Literals()
	if err != nil {
		return nil, err
	}
	// Literals that are in the document as they are come first: they are
	// the least likely to be compared, measured or parsed on the way.
	values := make(map[string]bool, len(d.Strings))
	for _, token := range d.Strings {
		values[token.Value] = values[token.Value] || !token.Key
	}
	sort.SliceStable(sources, func(a, b int) bool {
		return values[sources[a].Value] && !values[sources[b].Value]
	})
	marks := make([]Edit, len(sources))
	for i, source := range sources {
		marks[i] = Edit{
			File: source.File, Start: source.CloseQuote, End: source.CloseQuote,
			// No percent sign: it may be a format; no upper case: it may be
			// folded.
			Text: "~" + Fake(source.File, source.CloseQuote)[:32],
		}
	}
	traces, err := d.Trace(ctx, marks, originsLimit)
	if err != nil {
		return nil, err
	}
	longest := map[int]FileLiteral{}
	for i, trace := range traces {
		for _, hit := range trace.Hits {
			known, ok := longest[hit.String]
			if !ok || len(sources[i].Value) > len(known.Value) {
				longest[hit.String] = sources[i]
			}
		}
	}
	origins := make(map[string]Position, len(longest))
	for index, source := range longest {
		if token := d.Strings[index]; !token.Key {
			origins[token.Pointer] = source.Position()
		}
	}
	return origins, nil
}

// A FileLiteral is a string literal and the file that it is in.
type FileLiteral struct {
	Literal
	// File is the file's real absolute path.
	File string
}

// Position is where the literal begins.
func (l FileLiteral) Position() Position {
	return Position{File: l.File, Line: l.Line, Column: l.Column}
}

// Literals lists the value literals in the files that the document imports,
// in the order of their paths and places.
func (d *Document) Literals() ([]FileLiteral, error) {
	var all []FileLiteral
	for _, file := range sortedFiles(d.Files) {
		if !d.Imported()[file] {
			continue
		}
		literals, err := d.evaluator.Literals(file, d.Files[file])
		if err != nil {
			return nil, err
		}
		for _, literal := range literals {
			all = append(all, FileLiteral{Literal: literal, File: file})
		}
	}
	return all, nil
}

func sortedFiles(files map[string][]byte) []string {
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}
