package function

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// A Call is what a function is called with.
type Call struct {
	// Data is the body; empty is a GET, else it is a POST.
	Data string
	// Header is added to the request's.
	Header map[string]string
}

// An Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Request is the call of a function at an address, as kubeless' own command
// makes it: data that is JSON says so, and the headers are those of an event.
func (c Call) Request(ctx context.Context, address string) (*http.Request, error) {
	method, kind := http.MethodGet, "application/x-www-form-urlencoded"
	if c.Data != "" {
		method = http.MethodPost
	}
	if json.Valid([]byte(c.Data)) {
		kind = "application/json"
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(c.Data))
	if err != nil {
		return nil, err
	}
	if c.Data != "" {
		request.Header.Set("Content-Type", kind)
		request.Header.Set("Event-Type", kind)
	}
	request.Header.Set("Event-Id", rand.Text())
	request.Header.Set("Event-Time", time.Now().UTC().Format(time.RFC3339))
	request.Header.Set("Event-Namespace", "cli.rtbuild.dev")
	for name, value := range c.Header {
		request.Header.Set(name, value)
	}
	return request, nil
}
