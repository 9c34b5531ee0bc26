// Package functions declares what a function gets: its event and its context.
//
//	func Handler(event functions.Event, context functions.Context) (string, error)
package functions

import (
	"context"
	"net/http"
)

// Event is what the function is called with.
type Event struct {
	Data           string // the request's body as it came, JSON or not
	EventID        string // header event-id
	EventType      string // header event-type
	EventTime      string // header event-time
	EventNamespace string // header event-namespace
	Extensions     Extension
}

// Extension is the HTTP side of an event.
type Extension struct {
	// Request is the call's request. Its body can be read once more.
	Request *http.Request
	// Response takes status, headers and body for functions that set them, or
	// that stream: it is an http.Flusher. What the function returns is written
	// after what it wrote here.
	Response http.ResponseWriter
	// Context ends when the call does: the function has returned, its time is
	// up, or the client has gone.
	Context context.Context
}

// Context is what the function is told about itself, each as the controller
// wrote it.
type Context struct {
	FunctionName string // FUNC_HANDLER
	Timeout      string // FUNC_TIMEOUT, seconds
	Runtime      string // FUNC_RUNTIME
	MemoryLimit  string // FUNC_MEMORY_LIMIT
}
