package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/cli/cli/config/types"

	"github.com/rtbuild/rtbuild/internal/edge/logins"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// quirks are ways of real registries before a registry that has none.
type quirks struct {
	// head answers every HEAD of a manifest.
	head int
	// hidden answers instead of 404 for a manifest.
	hidden int
	// basic wants bot:secret of everybody; tokens wants a token, which the
	// server gives to bot:secret, and with denied not for a repository without
	// a manifest.
	basic, tokens bool
	// both names passwords before tokens, and takes tokens alone.
	both   bool
	denied int
}

// serve serves a registry with quirks, and returns its host and how many
// requests for manifests it had, as "METHOD".
func (q quirks) serve(t *testing.T) (host string, count func(method string) int) {
	t.Helper()
	inner := newRegistry()
	var mu sync.Mutex
	requests := map[string]int{}
	known := map[string]bool{} // repositories that something was pushed to
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		loggedIn := user == "bot" && password == "secret"
		if r.URL.Path == "/token" {
			q.token(w, r, loggedIn, func(repository string) bool {
				mu.Lock()
				defer mu.Unlock()
				return known[repository]
			})
			return
		}
		repository, _, manifest := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		mu.Lock()
		if manifest {
			requests[r.Method]++
		}
		known[repository] = known[repository] || manifest && r.Method == http.MethodPut
		mu.Unlock()
		looks := manifest && (r.Method == http.MethodGet || r.Method == http.MethodHead)
		switch {
		case q.basic && !loggedIn:
			w.Header().Set("WWW-Authenticate", `Basic realm="front"`)
			w.WriteHeader(http.StatusUnauthorized)
		case q.tokens && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
			if q.both {
				w.Header().Add("WWW-Authenticate", `Basic realm="front"`)
			}
			w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="front"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		case looks && r.Method == http.MethodHead && q.head != 0:
			w.WriteHeader(q.head)
		case looks && q.hidden != 0:
			recorder := httptest.NewRecorder()
			inner.ServeHTTP(recorder, r)
			if recorder.Code == http.StatusNotFound {
				w.Header().Set("WWW-Authenticate", `Basic realm="front"`)
				w.WriteHeader(q.hidden)
				return
			}
			for key, values := range recorder.Header() {
				w.Header()[key] = values
			}
			_, _ = w.Write(recorder.Body.Bytes())
		default:
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func(method string) int {
		mu.Lock()
		defer mu.Unlock()
		return requests[method]
	}
}

func (q quirks) token(w http.ResponseWriter, r *http.Request, loggedIn bool, known func(repository string) bool) {
	if !loggedIn {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	for _, scope := range r.URL.Query()["scope"] {
		if parts := strings.Split(scope, ":"); q.denied != 0 && len(parts) == 3 && parts[2] == "pull" && !known(parts[1]) {
			w.WriteHeader(q.denied)
			return
		}
	}
	_, _ = w.Write([]byte(`{"token": "t"}`))
}

// TestWhatMayBeMissing asks for something that is not there, pushes it, and asks
// again, at registries that do not tell what is missing from what is secret.
func TestWhatMayBeMissing(t *testing.T) {
	for name, q := range map[string]quirks{
		"404":                         {},
		"403 without logins":          {hidden: 403},
		"403 with a password":         {hidden: 403, basic: true},
		"401 with a password":         {hidden: 401, basic: true},
		"403 with a token":            {hidden: 403, tokens: true},
		"401 with a token":            {hidden: 401, tokens: true},
		"no token to pull, 401":       {denied: 401, tokens: true},
		"no token to pull, 403":       {denied: 403, tokens: true},
		"HEAD 404 and missing is 403": {head: 404, hidden: 403, basic: true},
	} {
		t.Run(name, func(t *testing.T) {
			host, _ := q.serve(t)
			login(t, host, "bot:secret")
			client := New(Config{Retries: -1})
			for _, ask := range []func() error{
				func() error { _, err := client.Resolve(t.Context(), host+"/acme/new:1"); return err },
				func() error { _, _, err := client.Annotations(t.Context(), host+"/acme/new:1"); return err },
			} {
				if err := ask(); !errors.Is(err, reference.ErrNotFound) && !errors.Is(err, reference.ErrHidden) {
					t.Fatalf("before: %v", err)
				}
				if !reference.MayBeMissing(ask()) {
					t.Error("a release takes it for an error")
				}
			}
			pushed := push(t, host+"/acme/new:content")
			if err := client.Tag(t.Context(), host+"/acme/new:1", pushed.Digest); err != nil {
				t.Fatal(err)
			}
			if there, err := client.Resolve(t.Context(), host+"/acme/new:1"); err != nil || there.Digest != pushed.Digest {
				t.Errorf("after: %v, %v", there, err)
			}
		})
	}
}

// TestWrongPasswordIsNotMissing wants a login that is wrong, or none where one is
// wanted, to stay an error before anything is built.
func TestWrongPasswordIsNotMissing(t *testing.T) {
	for name, q := range map[string]quirks{
		"password": {hidden: 401, basic: true},
		"token":    {denied: 401, tokens: true},
	} {
		for _, pair := range []string{"bot:wrong", ""} {
			t.Run(name+" "+pair, func(t *testing.T) {
				host, _ := q.serve(t)
				login(t, host, pair)
				client := New(Config{Retries: -1})
				_, err := client.Resolve(t.Context(), host+"/acme/new:1")
				if !errors.Is(err, reference.ErrUnauthorized) || errors.Is(err, reference.ErrHidden) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// TestTokensBeforePasswords gets a token where a password is named first.
func TestTokensBeforePasswords(t *testing.T) {
	host, _ := quirks{tokens: true, both: true}.serve(t)
	login(t, host, "bot:secret")
	if _, err := New(Config{Retries: -1}).Resolve(t.Context(), host+"/acme/a:1"); !errors.Is(err, reference.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestHeadThatIsNotAnswered finds what a GET shows, and counts: a registry that
// answers HEAD as it should is never asked with both for long.
func TestHeadThatIsNotAnswered(t *testing.T) {
	for _, status := range []int{0, 400, 403, 404, 405, 406, 500, 501, 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			host, count := quirks{head: status}.serve(t)
			login(t, host, "")
			client := New(Config{Retries: -1})
			digest := push(t, host+"/acme/a:1").Digest
			before := count(http.MethodHead) + count(http.MethodGet)
			for range 5 {
				if there, err := client.Resolve(t.Context(), host+"/acme/a:1"); err != nil || there.Digest != digest {
					t.Fatalf("got %v, %v", there, err)
				}
			}
			for n := range 5 {
				if _, err := client.Resolve(t.Context(), fmt.Sprintf("%s/acme/a:none%d", host, n)); !errors.Is(err, reference.ErrNotFound) {
					t.Fatalf("missing: %v", err)
				}
			}
			want := 10
			if status != 0 {
				want++ // one HEAD to find out
			}
			if asked := count(http.MethodHead) + count(http.MethodGet) - before; asked != want {
				t.Errorf("%d requests for 10 questions, want %d", asked, want)
			}
		})
	}
}

// TestColdReleaseTakesNoMoreRequests counts what a release of images that the
// registry has never seen asks: the version tags, then the content tags.
func TestColdReleaseTakesNoMoreRequests(t *testing.T) {
	host, count := quirks{}.serve(t)
	login(t, host, "")
	client := New(Config{Retries: -1})
	for n := range 10 {
		_, _, err := client.Annotations(t.Context(), fmt.Sprintf("%s/acme/%d:1", host, n))
		if !errors.Is(err, reference.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for n := range 10 {
		if _, err := client.Resolve(t.Context(), fmt.Sprintf("%s/acme/%d:content", host, n)); !errors.Is(err, reference.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if asked := count(http.MethodHead) + count(http.MethodGet); asked != 20 {
		t.Errorf("%d requests for 20 questions", asked)
	}
}

// TestMissingCredentialStore wants a program that is not installed to fail
// nothing that works without it, and to be named where a login is needed.
func TestMissingCredentialStore(t *testing.T) {
	open, _ := quirks{}.serve(t)
	closed, _ := quirks{basic: true}.serve(t)
	named, _ := quirks{}.serve(t)
	listed, _ := quirks{basic: true}.serve(t)
	file := dockerConfig(t, fmt.Sprintf(`{"credsStore": "nowhere", "credHelpers": {%q: "other"}, "auths": {%q: {}, %q: {"auth": "Ym90OnNlY3JldA=="}}}`, named, closed, listed))
	digest := push(t, open+"/acme/a:1").Digest
	client := New(Config{Retries: -1})
	if there, err := client.Resolve(t.Context(), open+"/acme/a:1"); err != nil || there.Digest != digest {
		t.Errorf("a registry without logins: %v, %v", there, err)
	}
	if there, err := logins.Find(t.Context(), open+"/acme/a"); err != nil || there != (types.AuthConfig{}) {
		t.Errorf("for an engine: %v, %v", there, err)
	}
	if _, err := client.Resolve(t.Context(), listed+"/acme/a:1"); !errors.Is(err, reference.ErrNotFound) {
		t.Errorf("a registry whose password is in the file: %v", err)
	}
	for host, want := range map[string]string{closed: "names docker-credential-nowhere for all registries", named: "docker-credential-other"} {
		_, err := client.Resolve(t.Context(), host+"/acme/a:1")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v, want %q and %s", err, want, file)
		}
	}
}

// login makes USER:PASSWORD the only stored login, that of host; none if pair is
// empty.
func login(t *testing.T, host, pair string) {
	t.Helper()
	config := "{}"
	if user, password, ok := strings.Cut(pair, ":"); ok {
		config = fmt.Sprintf(`{"auths": {%q: {"username": %q, "password": %q}}}`, host, user, password)
	}
	dockerConfig(t, config)
}

// dockerConfig makes content the docker configuration, and returns its path.
func dockerConfig(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("REGISTRY_AUTH_FILE", "")
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
