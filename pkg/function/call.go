package function

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
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

// Send calls a function at an address, and reads its answer whole. The errors name
// it as callee.
func (c Call) Send(ctx context.Context, address, callee string) (Answer, error) {
	request, err := c.request(ctx, address)
	if err != nil {
		return Answer{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("calling %s: %w", callee, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("reading the answer of %s: %w", callee, err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// request is the call of a function at an address, as kubeless' own command
// makes it: data that is JSON says so, and the headers are those of an event.
func (c Call) request(ctx context.Context, address string) (*http.Request, error) {
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
