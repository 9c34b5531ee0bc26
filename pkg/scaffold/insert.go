package scaffold

import (
	"bytes"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// insertion puts an element into a list behind the element of that index, or before
// all with -1, as the list is laid out: on a line of its own where the others are.
// What is there stays as it is, but for a comma that the last element needs.
func insertion(file string, source []byte, list provenance.List, after int, element string) []provenance.Edit {
	at := func(offset int, text string) provenance.Edit {
		return provenance.Edit{File: file, Start: offset, End: offset, Text: text}
	}
	if len(list.Elements) == 0 {
		return []provenance.Edit{at(list.Start+1, element)}
	}
	if after < 0 {
		return []provenance.Edit{before(file, source, list.Elements[0], element)}
	}
	ownLines := bytes.IndexByte(source[list.Start:list.Elements[0].Start], '\n') >= 0
	end := list.Elements[after].End
	comma := skip(source, end)
	if !ownLines {
		return []provenance.Edit{at(end, ", "+element)}
	}
	line := lineEnd(source) + indentAt(source, list.Elements[after].Start) + element
	if source[comma] != ',' {
		return []provenance.Edit{at(end, ","), at(endOfLine(source, end, list.End-1), line+",")}
	}
	return []provenance.Edit{at(endOfLine(source, comma+1, list.End-1), line+",")}
}

// before puts an element before another one, below what is above that.
func before(file string, source []byte, next provenance.Range, element string) provenance.Edit {
	separator := ", "
	if indent := indentAt(source, next.Start); next.Start > len(indent) && source[next.Start-len(indent)-1] == '\n' {
		separator = "," + lineEnd(source) + indent
	}
	return provenance.Edit{File: file, Start: next.Start, End: next.Start, Text: element + separator}
}

// endOfLine is where the line ends that offset is in, if nothing but a comment is
// left on it; else offset.
func endOfLine(source []byte, offset, limit int) int {
	rest, _, _ := bytes.Cut(source[offset:limit], []byte("\n"))
	rest = bytes.TrimRight(rest, " \t\r")
	if text := string(bytes.TrimSpace(rest)); text == "" || strings.HasPrefix(text, "//") || strings.HasPrefix(text, "#") {
		return offset + len(rest)
	}
	return offset
}

// skip is the offset of what follows spaces and comments.
func skip(source []byte, offset int) int {
	for offset < len(source) {
		rest := source[offset:]
		switch {
		case bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0:
			offset++
		case rest[0] == '#', bytes.HasPrefix(rest, []byte("//")):
			line := bytes.IndexByte(rest, '\n')
			if line < 0 {
				return len(source)
			}
			offset += line
		case bytes.HasPrefix(rest, []byte("/*")):
			end := bytes.Index(rest, []byte("*/"))
			if end < 0 {
				return len(source)
			}
			offset += end + 2
		default:
			return offset
		}
	}
	return offset
}

// indentAt is the space that the line begins with that offset is in.
func indentAt(source []byte, offset int) string {
	line := source[bytes.LastIndexByte(source[:offset], '\n')+1 : offset]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// lineEnd is what lines of a source end in.
func lineEnd(source []byte) string {
	if bytes.Contains(source, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// removal takes a field out of an object, with its line if it has one.
func removal(file string, source []byte, field provenance.Field) provenance.Edit {
	start, end := field.Start, field.End
	if comma := skip(source, end); source[comma] == ',' {
		end = comma + 1
	} else if before := bytes.TrimRight(source[:start], " \t"); bytes.HasSuffix(before, []byte(",")) {
		start = len(before) - 1
	}
	lineStart := bytes.LastIndexByte(source[:start], '\n') + 1
	rest := endOfLine(source, end, field.Object.End-1)
	next := bytes.IndexByte(source[rest:], '\n')
	alone := len(bytes.TrimSpace(source[lineStart:start])) == 0
	if alone && next >= 0 && len(bytes.TrimSpace(source[rest:rest+next])) == 0 {
		return provenance.Edit{File: file, Start: lineStart, End: rest + next + 1}
	}
	for end < len(source) && (source[end] == ' ' || source[end] == '\t') && source[start] != ',' {
		end++
	}
	return provenance.Edit{File: file, Start: start, End: end}
}
