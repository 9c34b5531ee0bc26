package jsonnet

import (
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// maxTrace bounds the callers that an error lists.
const maxTrace = 8

// A located error is what the library returns for a syntax error.
type located interface {
	error
	Loc() ast.LocationRange
}

// embeddedPosition matches how the library writes a location at the head of a
// message: "file:1:2-3 text", "file:(1:2)-(3:4) text".
var embeddedPosition = regexp.MustCompile(`^(/[^\n]*?):\(?([0-9]+):([0-9]+)\)?(?:-[0-9():]+)? (?s:(.*))$`)

// convertError makes a *provenance.Error of an error of the library. root is
// the document: the position of errors that have no other.
func convertError(root string, err error) error {
	result := &provenance.Error{Position: provenance.Position{File: root}, Message: err.Error()}
	var runtime gojsonnet.RuntimeError
	var static located
	switch {
	case errors.As(err, &runtime):
		result.Message = runtime.Msg
		if strings.HasPrefix(runtime.Msg, "Undefined external variable") {
			result.Message += "; give it a value, as a string (ext-str) or as code (ext-code)"
		}
		for n := len(runtime.StackTrace) - 1; n >= 0; n-- {
			frame := runtime.StackTrace[n]
			if position, ok := positionOf(frame.Loc); ok {
				result.Trace = append(result.Trace, provenance.Frame{Position: position, Name: frame.Name})
			}
		}
		if len(result.Trace) > 0 {
			result.Position = result.Trace[0].Position
		} else if strings.HasPrefix(runtime.Msg, "Missing argument") {
			// Nothing in the sources calls the document.
			result.Message += "; the document is a function: give it its arguments, as strings (tla-str) or as code (tla-code)"
		}
	case errors.As(err, &static):
		if position, ok := positionOf(static.Loc()); ok {
			result.Position = position
		}
		result.Message = strings.TrimSpace(strings.TrimPrefix(result.Message, staticPrefix(static)))
		return result
	}
	// A syntax error in an imported file arrives as the message of a runtime
	// error at the import.
	if m := embeddedPosition.FindStringSubmatch(result.Message); m != nil {
		line, lineErr := strconv.Atoi(m[2])
		column, columnErr := strconv.Atoi(m[3])
		if lineErr == nil && columnErr == nil {
			result.Position = provenance.Position{File: m[1], Line: line, Column: column}
			result.Message = m[4]
		}
	}
	result.Trace = shorten(result.Position, result.Trace)
	return result
}

func staticPrefix(err located) string {
	loc := err.Loc()
	return loc.String()
}

// positionOf is the place of loc, if it lies in a file of the user's: the
// standard library and the steps of manifestation have locations too.
func positionOf(loc ast.LocationRange) (provenance.Position, bool) {
	if !loc.IsSet() || loc.File == nil {
		return provenance.Position{}, false
	}
	file := string(loc.File.DiagnosticFileName)
	if !filepath.IsAbs(file) {
		return provenance.Position{}, false
	}
	return provenance.Position{File: file, Line: loc.Begin.Line, Column: loc.Begin.Column}, true
}

// shorten drops repeated frames, the one at the error's own position, and all
// past maxTrace.
func shorten(at provenance.Position, trace []provenance.Frame) []provenance.Frame {
	var short []provenance.Frame
	last := at
	for _, frame := range trace {
		if frame.Position == last {
			continue
		}
		last = frame.Position
		short = append(short, frame)
		if len(short) == maxTrace {
			break
		}
	}
	return short
}
