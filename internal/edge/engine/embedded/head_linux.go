package embedded

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// headTransport makes HEAD of manifests and blobs mean what BuildKit takes it
// for. Before it pushes, BuildKit asks with HEAD whether that is there already,
// and gives up unless the answer is 200 or 404. Registries that do not tell what
// is missing from what is secret answer 401 or 403 to somebody whose push they
// take, and some do not do HEAD, or fail at it. There, GET decides, and what it does
// not show counts as missing: the push, or the pull, that follows tells the rest.
type headTransport struct{ inner http.RoundTripper }

// maxManifest bounds how much of a manifest is read for its digest.
const maxManifest = 8 << 20

// RoundTrip implements http.RoundTripper.
func (t *headTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(req)
	if err != nil || req.Method != http.MethodHead || !leavesOpen(req, resp.StatusCode) {
		return resp, err
	}
	_ = resp.Body.Close()
	if !strings.Contains(req.URL.Path, "/manifests/") {
		if resp.StatusCode >= http.StatusInternalServerError {
			return resp, nil
		}
		return missing(resp), nil
	}
	get := req.Clone(req.Context())
	get.Method = http.MethodGet
	got, err := t.inner.RoundTrip(get)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	switch {
	case got.StatusCode >= http.StatusInternalServerError:
		return resp, nil
	case got.StatusCode != http.StatusOK:
		return missing(resp), nil
	}
	manifest, err := io.ReadAll(io.LimitReader(got.Body, maxManifest))
	if err != nil {
		return nil, err
	}
	got.Request, got.Body, got.ContentLength = req, http.NoBody, int64(len(manifest))
	got.Header.Set("Content-Length", strconv.Itoa(len(manifest)))
	got.Header.Set("Docker-Content-Digest", digest.FromBytes(manifest).String())
	return got, nil
}

// leavesOpen tells whether the answer to a HEAD does not say what is there. A 401
// is first of all a question for a login. A 404 for a digest is of something that
// is known to exist, unless it is pushed.
func leavesOpen(req *http.Request, status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusInternalServerError, http.StatusNotImplemented, http.StatusBadGateway:
		return true
	case http.StatusUnauthorized:
		return req.Header.Get("Authorization") != ""
	case http.StatusNotFound:
		return strings.Contains(req.URL.Path, "/manifests/sha256:")
	}
	return false
}

func missing(resp *http.Response) *http.Response {
	resp.StatusCode, resp.Status = http.StatusNotFound, "404 Not Found"
	resp.Body, resp.ContentLength = http.NoBody, 0
	return resp
}
