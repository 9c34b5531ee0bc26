package provenance

import (
	"bytes"
	"fmt"
	"sort"
)

// An Edit puts Text in place of the bytes from Start to End of a file.
type Edit struct {
	// File is the file's real absolute path.
	File       string
	Start, End int
	Text       string
}

// Apply makes the edits in source, whatever their order and whatever File
// they name. Edits that overlap or lie outside of source are an error.
func Apply(source []byte, edits []Edit) ([]byte, error) {
	sorted := append([]Edit(nil), edits...)
	sort.SliceStable(sorted, func(a, b int) bool { return sorted[a].Start < sorted[b].Start })
	var out bytes.Buffer
	last := 0
	for _, edit := range sorted {
		if edit.Start < last || edit.End < edit.Start || edit.End > len(source) {
			return nil, fmt.Errorf("editing %s: bytes %d to %d overlap another edit or lie outside of the file", edit.File, edit.Start, edit.End)
		}
		out.Write(source[last:edit.Start])
		out.WriteString(edit.Text)
		last = edit.End
	}
	out.Write(source[last:])
	return out.Bytes(), nil
}

// Line is the place of a byte offset in source: line and column count from 1,
// columns in bytes, as Jsonnet counts them.
func Line(source []byte, offset int) (line, column int) {
	before := source[:offset]
	return bytes.Count(before, []byte("\n")) + 1, offset - bytes.LastIndexByte(before, '\n')
}
