package registry

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// passwordTransport asks a token server once whether a password is right, or
// twice where that takes a second question: the library asks for each repository, and a server that counts failures locks the
// user out before a tree of images is through. The others wait for the first
// answer, and go on by themselves unless it is a refusal.
//
// A registry that takes passwords itself is asked each time: its refusal may be
// of the one repository.
type passwordTransport struct {
	inner http.RoundTripper

	mu        sync.Mutex
	passwords map[string]*password // by server and Authorization header
}

// password is what a token server said of a user's password.
type password struct {
	known   chan struct{}  // closed when the first request has ended
	refusal *http.Response // nil if the password was not refused
	body    []byte         // of refusal
}

func newPasswordTransport(inner http.RoundTripper) *passwordTransport {
	return &passwordTransport{inner: inner, passwords: map[string]*password{}}
}

// RoundTrip implements http.RoundTripper.
func (t *passwordTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, _, ok := req.BasicAuth(); !ok || strings.HasPrefix(req.URL.Path, "/v2/") {
		return t.inner.RoundTrip(req)
	}
	p, first := t.password(req)
	if first {
		return p.try(req, t.inner)
	}
	select {
	case <-p.known:
	case <-req.Context().Done():
		closeBody(req)
		return nil, req.Context().Err()
	}
	if p.refusal == nil {
		return t.inner.RoundTrip(req)
	}
	closeBody(req)
	return p.refused(req), nil
}

// password also tells whether nobody has asked about it before.
func (t *passwordTransport) password(req *http.Request) (p *password, first bool) {
	key := req.URL.Scheme + "://" + req.URL.Host + " " + req.Header.Get("Authorization")
	t.mu.Lock()
	defer t.mu.Unlock()
	p, found := t.passwords[key]
	if !found {
		p = &password{known: make(chan struct{})}
		t.passwords[key] = p
	}
	return p, !found
}

// try makes the first request.
func (p *password) try(req *http.Request, inner http.RoundTripper) (*http.Response, error) {
	defer close(p.known)
	resp, err := inner.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || p.takenForNothing(req, inner) {
		return resp, err
	}
	defer resp.Body.Close()
	if p.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	p.refusal = resp
	return p.refused(req), nil
}

// takenForNothing tells whether the server takes the password where the token
// is to be for no repository: some refuse tokens for repositories that do not
// exist as they refuse passwords.
func (p *password) takenForNothing(req *http.Request, inner http.RoundTripper) bool {
	query := req.URL.Query()
	if req.Method != http.MethodGet || !query.Has("scope") {
		return false
	}
	query.Del("scope")
	again := req.Clone(req.Context())
	again.URL.RawQuery = query.Encode()
	resp, err := inner.RoundTrip(again)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// refused is the refusal, as the answer to another request.
func (p *password) refused(req *http.Request) *http.Response {
	resp := answer(req, p.refusal.StatusCode, p.refusal.Header)
	resp.Body = io.NopCloser(bytes.NewReader(p.body))
	return resp
}
