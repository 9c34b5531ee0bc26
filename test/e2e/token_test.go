//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// tokenLife is how long a token is good for: less than the release takes that
// sleeps for longer in the middle.
const (
	tokenLife = 5 * time.Second
	sleep     = "sleep 6"
)

// registryLeeway is for how long Debian's docker-registry takes a token that is
// past its time (distribution 2.8, registry/auth/token: Leeway).
const registryLeeway = time.Minute

// A tokenServer hands out tokens for a registry as Docker Hub's and GHCR's do:
// for one scope each, to those with the password, and for a short time.
type tokenServer struct {
	*httptest.Server
	key         *ecdsa.PrivateKey
	certificate []byte // DER; the registry trusts what it signs

	mu      sync.Mutex
	refused int
}

// access is what a token allows with one repository.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokens for a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &tokenServer{key: key, certificate: der}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// scopes are the ones that the server knows: all that the repositories of the
// test need, and nothing else.
var scopes = regexp.MustCompile(`^repository:(acme/(?:base|web)):(pull|push,pull|pull,push)$`)

func (s *tokenServer) serve(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != "user" || password != "pass-word" || r.URL.Query().Get("service") != "registry of a test" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused++
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`))
		return
	}
	var allowed []access
	for _, scope := range r.URL.Query()["scope"] {
		if m := scopes.FindStringSubmatch(scope); m != nil {
			allowed = append(allowed, access{"repository", m[1], strings.Split(m[2], ",")})
		}
	}
	token, err := s.sign(allowed)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": int(tokenLife.Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339)})
}

// sign makes a token (RFC 7519) that carries the certificate of its key.
func (s *tokenServer) sign(allowed []access) (string, error) {
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.certificate)}})
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": "issuer of a test", "sub": "user", "aud": "registry of a test", "jti": rand.Text(), "access": allowed,
		"nbf": now.Add(-time.Hour).Unix(), "iat": now.Unix(), "exp": now.Add(tokenLife - registryLeeway).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	a.FillBytes(signature[:32])
	b.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// refusals are how often a token was refused.
func (s *tokenServer) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// tokenRegistry starts a registry that wants the server's tokens.
func tokenRegistry(t *testing.T, s *tokenServer) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "tokens.pem")
	harness.Write(t, bundle, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate})))
	// By its name: clients refuse to be sent to a private address, lest a registry
	// have them ask around in their network.
	realm := strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/token"
	return harness.Registry(t, harness.RegistryConfig{Settings: fmt.Sprintf("auth: {token: {realm: %q, service: registry of a test, issuer: issuer of a test, rootcertbundle: %q}}\n", realm, bundle)})
}

// login makes Docker's configuration hold a password for a host, and returns
// the file.
func login(t *testing.T, host, password string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	file := filepath.Join(dir, "config.json")
	harness.Write(t, file, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, basic(password)))
	return file
}

// basic is a password as Docker's configuration and requests have it.
func basic(password string) string {
	return base64.StdEncoding.EncodeToString([]byte("user:" + password))
}

// A registry with tokens, as Docker Hub and GHCR are: what rtbuild asks and what
// the engine pushes and pulls has them; those that expire in the middle of a
// release are renewed; none is printed. A wrong password is tried once, and the
// error says where it comes from.
func TestTokens(t *testing.T) {
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			server := newTokenServer(t)
			host := tokenRegistry(t, server)
			root := small(t)
			before := sources(t, root)
			report := filepath.Join(t.TempDir(), "report.json")
			args := []string{"all", "--push", "--verbose", "--builder", builder, "--registry", host, "--report", report}

			file := login(t, host, "wrong-word")
			r := harness.Want(t, 1, root, args...)
			// Two targets fail, and the child of one is not tried.
			for _, text := range []string{"of registry " + host + " answered 401", "incorrect username or password", "credentials: " + file} {
				if strings.Count(r.Stderr, text) != 2 {
					t.Errorf("with a wrong password stderr does not have %q twice:\n%s", text, harness.Tail(r.Stderr))
				}
			}
			// Once for a repository and once for none: what is refused for a repository
			// alone may be one that does not exist yet.
			if refused := server.refusals(); refused < 1 || refused > 2 {
				t.Errorf("the wrong password was tried %d times", refused)
			}
			unchanged(t, root, before)
			printed := r.Stdout + r.Stderr + harness.Read(t, report)

			// Between the pushes of two images of one repository the tokens expire; the
			// engine has not done that before.
			login(t, host, "pass-word")
			dockerfile := filepath.Join(root, "stable/web/Dockerfile.1")
			harness.Write(t, dockerfile, harness.Read(t, dockerfile)+"RUN [\"/bin/sh\", \"-c\", \""+sleep+" # "+rand.Text()+"\"]\n")
			r = harness.Want(t, 0, root, args...)
			images := imagesOf(t, r.Stdout)
			if len(images) != 2 {
				t.Fatalf("images %q", images)
			}
			manifest := harness.Read(t, filepath.Join(root, "stable/web/web.jsonnet"))
			for _, image := range images {
				_, digest := harness.Split(image)
				if !strings.Contains(manifest, digest) || !server.has(t, host, "acme/web", digest) {
					t.Errorf("%s is not at the registry, or not pinned:\n%s", image, manifest)
				}
			}
			printed += r.Stdout + r.Stderr + harness.Read(t, report)

			pinned := sources(t, root)
			again := harness.Want(t, 0, root, "all", "--push", "--verbose", "--builder", "unix:///nowhere.sock", "--registry", host)
			if unchanged(t, root, pinned); again.Stdout != r.Stdout {
				t.Error("the second run prints another ConfigMap")
			}
			printed += again.Stdout + again.Stderr
			server.notIn(t, "output", printed)
			for path, content := range everything(t, root) {
				server.notIn(t, path, content)
			}
		})
	}
}

// notIn wants none of the server's secrets in a text, nor the start of a token.
func (s *tokenServer) notIn(t *testing.T, what, text string) {
	t.Helper()
	token, err := s.sign(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token[:40], "pass-word", "wrong-word", basic("pass-word"), basic("wrong-word")} {
		if strings.Contains(text, secret) {
			t.Errorf("%s: %s is in it", what, secret)
		}
	}
}

// everything is what a tree holds, with rtbuild's own state.
func everything(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files[path] = harness.Read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// has tells whether the registry serves a digest to who has a token for it, and
// to nobody else.
func (s *tokenServer) has(t *testing.T, host, path, digest string) bool {
	t.Helper()
	ask := func(token string) int {
		t.Helper()
		request, err := http.NewRequest(http.MethodHead, "http://"+host+"/v2/"+path+"/manifests/"+digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header["Accept"] = []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	var statuses []int
	for _, name := range []string{path, path + "-other"} {
		token, err := s.sign([]access{{"repository", name, []string{"pull"}}})
		if err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, ask(token))
	}
	return slices.Equal(statuses, []int{http.StatusOK, http.StatusUnauthorized})
}
