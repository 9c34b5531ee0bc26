package gateway

import (
	"net/http"
	"slices"
)

// cors lets browsers of allowed origins call the function, without
// credentials. A function that sets Access-Control-Allow-Origin itself has its
// way.
type cors struct {
	origins []string
	any     bool
	anyone  []string // the header's value then; never changed
}

func newCORS(origins []string) cors {
	return cors{origins: origins, any: slices.Contains(origins, "*"), anyone: []string{"*"}}
}

const allowOrigin = "Access-Control-Allow-Origin"

// allow adds the header for the request's origin.
func (c cors) allow(h http.Header, r *http.Request) bool {
	if c.any {
		if len(h[allowOrigin]) == 0 {
			h[allowOrigin] = c.anyone
		}
		return true
	}
	if len(c.origins) == 0 {
		return false
	}
	if !slices.Contains(h["Vary"], "Origin") {
		h.Add("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	if !slices.Contains(c.origins, origin) {
		return false
	}
	if len(h[allowOrigin]) == 0 {
		h[allowOrigin] = []string{origin}
	}
	return true
}

// preflight says whether the request is one that the proxy answers: a browser
// asks for permission from an allowed origin. The headers are then set.
func (c cors) preflight(w http.ResponseWriter, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" || r.Header.Get("Origin") == "" || len(c.origins) == 0 {
		return false
	}
	h := w.Header()
	if !c.allow(h, r) {
		return true // answered without permission
	}
	h.Set("Access-Control-Allow-Methods", method)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	return true
}
