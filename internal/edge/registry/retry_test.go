package registry

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// One layer of retries: the number of requests is what Config says, though the
// library has retries of its own.
func TestOneLayerOfRetries(t *testing.T) {
	noCredentials(t)
	for _, method := range []string{"HEAD", "GET", "PUT"} {
		t.Run(method, func(t *testing.T) {
			registry, broken := newRegistry(), false
			host, requests := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken && r.Method == method && r.URL.Path != "/v2/" {
					w.WriteHeader(503)
					return
				}
				registry.ServeHTTP(w, r)
			}))
			desc := push(t, host+"/acme/go:1")
			requests.take()
			broken = true
			c := New(Config{Retries: 2, RetryBase: time.Microsecond})
			var err error
			switch method {
			case "HEAD":
				_, err = c.Resolve(t.Context(), host+"/acme/go:1")
			case "GET":
				_, err = c.Inspect(t.Context(), host+"/acme/go:1")
			default:
				err = c.Tag(t.Context(), host+"/acme/go:2", desc.Digest)
			}
			if err == nil {
				t.Fatal("no error")
			}
			mustContain(t, err, "registry "+host+" answered 503 Service Unavailable")
			tries := 0
			for _, request := range requests.take() {
				if strings.HasPrefix(request, method+" ") && request != "GET /v2/" {
					tries++
				}
			}
			if tries != 3 {
				t.Errorf("%d requests, want 3", tries)
			}
		})
	}
}

// Those who wait for a failing version check share its failure; who comes
// later checks again.
func TestVersionCheckFailsOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, answer := 0, make(chan struct{})
		c := New(Config{Retries: -1, Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			calls++
			<-answer
			return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
		})})
		registry, err := name.NewRegistry("registry.example")
		if err != nil {
			t.Fatal(err)
		}
		check := func() {
			if _, err := c.challenge(t.Context(), registry, false); !statusOf(err, 503) {
				t.Errorf("got %v", err)
			}
		}
		var group sync.WaitGroup
		for range 8 {
			group.Go(check)
		}
		synctest.Wait()
		close(answer)
		group.Wait()
		if calls != 1 {
			t.Errorf("%d checks, want 1", calls)
		}
		if check(); calls != 2 {
			t.Errorf("%d checks, want another one later", calls)
		}
	})
}

// A wrong password shows up in no error, wherever it comes from.
func TestSecretsStayOut(t *testing.T) {
	home := noCredentials(t)
	const login, password, encoded = "someone", "s3cret-word", "c29tZW9uZTpzM2NyZXQtd29yZA=="
	for name, challenge := range map[string]string{
		"basic":  `Basic realm="test"`,
		"bearer": `Bearer realm="http://%s/token",service="test"`,
	} {
		t.Run(name, func(t *testing.T) {
			sent := false
			host, requests := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if user, pass, ok := r.BasicAuth(); ok && user == login && pass == password {
					sent = true
				}
				w.Header().Set("WWW-Authenticate", strings.Replace(challenge, "%s", r.Host, 1))
				w.WriteHeader(401)
			}))
			file := writeConfig(t, home, `{"auths": {"`+host+`": {"auth": "`+encoded+`"}}}`)
			c := New(Config{RetryBase: time.Microsecond})
			_, resolveErr := c.Resolve(t.Context(), host+"/acme/go:1")
			seen := requests.take()
			tagErr := c.Tag(t.Context(), host+"/acme/go:1", "sha256:"+strings.Repeat("0", 64))
			for _, err := range []error{resolveErr, tagErr} {
				if !errors.Is(err, reference.ErrUnauthorized) {
					t.Fatalf("got %v", err)
				}
				mustContain(t, err, host, file)
				for _, secret := range []string{password, encoded} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("the error says %q:\n%v", secret, err)
					}
				}
			}
			if !sent {
				t.Error("the password was never used")
			}
			if len(seen) != 3 {
				t.Errorf("requests %v, want the version check, one refused request, and one that tells whether it is the login that is refused", seen)
			}
		})
	}
}
