package provenance

import "strings"

// An Error says why Jsonnet rejects a document.
type Error struct {
	// Position is where it fails: the innermost place in a file of the
	// user's, not in the standard library. Line is zero where Jsonnet gives
	// none.
	Position Position
	// Message is Jsonnet's, without position.
	Message string
	// Trace leads from Position outwards: the calls and imports through which
	// evaluation came there. It may be cut short.
	Trace []Frame
}

// A Frame is one caller or importer in the trace of an Error.
type Frame struct {
	Position Position
	// Name is what Jsonnet calls the surroundings ("function <f>", "object
	// <anonymous>"), or empty.
	Name string
}

// Error is "file:line:column: message" on the first line and the trace, one
// place a line, below it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Position.String() + ": " + e.Message)
	for _, frame := range e.Trace {
		b.WriteString("\n\tfrom " + frame.Position.String())
		if frame.Name != "" {
			b.WriteString(" (" + frame.Name + ")")
		}
	}
	return b.String()
}
