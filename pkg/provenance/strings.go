package provenance

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// A String is one string token of a JSON document.
type String struct {
	// Pointer is the RFC 6901 JSON pointer of the value ("/0/versions/1/name");
	// for a member's name it is the pointer of the member's value.
	Pointer string
	// Value is the string, unescaped.
	Value string
	// Key tells that the token is a member's name, not a value.
	Key bool
	// Start and End are the byte offsets of the token with its quotes.
	Start, End int
}

// Strings lists the string tokens of a JSON document in the order in which
// they are there.
func Strings(doc []byte) ([]String, error) {
	if !json.Valid(doc) {
		return nil, fmt.Errorf("reading the evaluated document: it is not a JSON document")
	}
	var (
		found []String
		stack []container
	)
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '{', '[':
			stack = append(stack, container{object: doc[i] == '{', expectKey: doc[i] == '{'})
		case '}', ']':
			stack = stack[:len(stack)-1]
		case ',':
			top := &stack[len(stack)-1]
			top.index++
			top.expectKey = top.object
		case ':':
			stack[len(stack)-1].expectKey = false
		case '"':
			token := String{Start: i, End: stringEnd(doc, i)}
			if err := json.Unmarshal(doc[i:token.End], &token.Value); err != nil {
				return nil, fmt.Errorf("reading the evaluated document: byte %d: %w", i, err)
			}
			if len(stack) > 0 && stack[len(stack)-1].expectKey {
				token.Key = true
				stack[len(stack)-1].key = token.Value
			}
			token.Pointer = pointer(stack)
			found = append(found, token)
			i = token.End - 1
		}
	}
	return found, nil
}

// A container is an array or object around the current byte.
type container struct {
	object    bool
	expectKey bool
	key       string
	index     int
}

// stringEnd is the offset behind the string token that starts at start, in a
// valid document.
func stringEnd(doc []byte, start int) int {
	for i := start + 1; ; i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

func pointer(stack []container) string {
	var b strings.Builder
	for _, c := range stack {
		b.WriteByte('/')
		if c.object {
			b.WriteString(EscapeKey(c.key))
		} else {
			b.WriteString(strconv.Itoa(c.index))
		}
	}
	return b.String()
}

// EscapeKey is a member's name as JSON pointers write it (RFC 6901, 3). It is
// asked for every string of a document, and a strings.Replacer would take as
// much memory as all else of a tree's plan.
func EscapeKey(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// stringAt is the index of the string token in which offset lies, its closing
// quote included, or -1.
func stringAt(tokens []String, offset int) int {
	i := sort.Search(len(tokens), func(i int) bool { return tokens[i].End > offset })
	if i == len(tokens) || offset <= tokens[i].Start {
		return -1
	}
	return i
}
