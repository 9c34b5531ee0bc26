package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// dockerConfig makes a folder of docker configuration with this config.json
// and these contexts (name to engine address), and makes it the current one
// with nothing else of docker's in the environment.
func dockerConfig(t *testing.T, config string, contexts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), []byte(config))
	for name, host := range contexts {
		meta, err := json.Marshal(map[string]any{
			"Name": name, "Metadata": map[string]any{},
			"Endpoints": map[string]any{"docker": map[string]any{"Host": host, "SkipTLSVerify": false}},
		})
		if err != nil {
			t.Fatal(err)
		}
		id := digest.FromString(name).Encoded()
		writeFile(t, filepath.Join(dir, "contexts", "meta", id, "meta.json"), meta)
	}
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"} {
		t.Setenv(name, "")
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestResolveEndpoint(t *testing.T) {
	contexts := map[string]string{"near": "unix:///near.sock", "far": "tcp://far:2375"}
	tests := []struct {
		name, config, ask string
		env               map[string]string
		want, err         string
	}{
		{name: "nothing set", config: `{}`, want: "unix:///var/run/docker.sock"},
		{name: "DOCKER_HOST", config: `{"currentContext":"near"}`, env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "far"}, want: "tcp://h:1"},
		{name: "DOCKER_CONTEXT", config: `{"currentContext":"near"}`, env: map[string]string{"DOCKER_CONTEXT": "far"}, want: "tcp://far:2375"},
		{name: "current context", config: `{"currentContext":"near"}`, want: "unix:///near.sock"},
		{name: "asked for", config: `{"currentContext":"near"}`, ask: "far", env: map[string]string{"DOCKER_HOST": "tcp://h:1"}, want: "tcp://far:2375"},
		{name: "default asked for", config: `{"currentContext":"near"}`, ask: "default", want: "unix:///var/run/docker.sock"},
		{name: "absent", config: `{}`, ask: "ghost", err: `"ghost"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dockerConfig(t, test.config, contexts)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			config, err := LoadConfig()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Resolve(test.ask, config)
			if got.host != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("Resolve = %+v, %v; want %q, %q", got, err, test.want, test.err)
			}
		})
	}
}

func TestBrokenDockerConfig(t *testing.T) {
	dockerConfig(t, `{`, nil)
	if _, err := LoadConfig(); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("LoadConfig = %v, want an error that names the file", err)
	}
}

// The client reaches an engine behind TLS with the certificates of the
// environment, and does not reach it without them.
func TestEndpointTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			http.Error(w, "who are you", http.StatusForbidden)
			return
		}
		w.Header().Set("Api-Version", "1.41")
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()

	certs := t.TempDir()
	writeFile(t, filepath.Join(certs, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	writeKeyPair(t, certs)
	dockerConfig(t, `{}`, nil)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	t.Setenv("DOCKER_CERT_PATH", certs)
	ping := func() error {
		endpoint, err := environmentEndpoint()
		if err != nil {
			t.Fatal(err)
		}
		api, err := endpoint.Client()
		if err != nil {
			t.Fatal(err)
		}
		defer api.Close()
		_, err = api.Ping(t.Context())
		return err
	}
	if err := ping(); err == nil {
		t.Error("without DOCKER_TLS_VERIFY: reached")
	}
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	if err := ping(); err != nil {
		t.Errorf("with DOCKER_TLS_VERIFY: %v", err)
	}
	writeFile(t, filepath.Join(certs, "ca.pem"), selfSigned(t, key(t)))
	if err := ping(); err == nil {
		t.Error("with a CA that does not know the engine: reached")
	}
}

func key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func selfSigned(t *testing.T, k *ecdsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func writeKeyPair(t *testing.T, dir string) {
	t.Helper()
	k := key(t)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "cert.pem"), selfSigned(t, k))
	writeFile(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}
