package embedded

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestHead(t *testing.T) {
	const manifest, tag, blob = "/v2/a/manifests/sha256:0", "/v2/a/manifests/1", "/v2/a/blobs/sha256:0"
	for name, test := range map[string]struct {
		path      string
		head, get int
		loggedIn  bool
		want      int
		digest    bool
	}{
		"there":                     {tag, 200, 0, false, 200, false},
		"missing":                   {tag, 404, 0, false, 404, false},
		"no HEAD":                   {tag, 405, 200, false, 200, true},
		"no HEAD, and missing":      {tag, 400, 404, false, 404, false},
		"forbidden":                 {tag, 403, 403, false, 404, false},
		"who are you?":              {tag, 401, 0, false, 401, false},
		"unauthorized with login":   {tag, 401, 401, true, 404, false},
		"404 for a digest":          {manifest, 404, 200, false, 200, true},
		"not implemented":           {manifest, 501, 200, false, 200, true},
		"forbidden blob":            {blob, 403, 0, true, 404, false},
		"not acceptable":            {tag, 406, 200, false, 200, true},
		"fails at HEAD":             {tag, 500, 200, false, 200, true},
		"fails at HEAD, missing":    {tag, 502, 404, false, 404, false},
		"a server that is at fault": {tag, 500, 500, false, 500, false},
		"at fault for a blob":       {blob, 500, 0, false, 500, false},
		"not available":             {tag, 503, 0, false, 503, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(test.head)
					return
				}
				if test.get == 0 {
					t.Errorf("asked with %s", r.Method)
				}
				w.WriteHeader(test.get)
				_, _ = w.Write([]byte("{}"))
			}))
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.loggedIn {
				req.SetBasicAuth("bot", "secret")
			}
			resp, err := (&http.Client{Transport: &headTransport{http.DefaultTransport}}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != test.want {
				t.Errorf("status %d, want %d", resp.StatusCode, test.want)
			}
			// The digest of {}.
			const empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
			if has := resp.Header.Get("Docker-Content-Digest") == empty; has != test.digest || has && resp.ContentLength != 2 {
				t.Errorf("digest %t, want %t; %d bytes", has, test.digest, resp.ContentLength)
			}
		})
	}
}
