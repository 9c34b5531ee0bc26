//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A privateRegistry is Debian's docker-registry as companies run it: TLS with
// an authority of their own, and a login.
type privateRegistry struct {
	host   string // not loopback, which engines speak to without TLS
	ca     string // the authority's PEM file
	logins string // a file for REGISTRY_AUTH_FILE
	client *http.Client
}

func private(t *testing.T) privateRegistry {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address(t).String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := privateRegistry{host: listener.Addr().String(), ca: filepath.Join(dir, "ca.pem"), logins: filepath.Join(dir, "auth.json")}
	listener.Close()
	pool := certificate(t, dir)
	r.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	harness.Write(t, filepath.Join(dir, "htpasswd"), password)
	harness.Write(t, r.logins, fmt.Sprintf(`{"auths":{%q:{"auth":"dXNlcjpzZWNyZXQ="}}}`, r.host+"/acme"))
	config := filepath.Join(dir, "config.yml")
	harness.Write(t, config, fmt.Sprintf(`version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %[1]s/data}}
auth: {htpasswd: {realm: test, path: %[1]s/htpasswd}}
http: {addr: %[2]q, tls: {certificate: %[1]s/cert.pem, key: %[1]s/key.pem}}
`, dir, r.host))
	cmd := exec.Command("docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install Debian's docker-registry", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for range 100 {
		if response, err := r.client.Get("https://" + r.host + "/v2/"); err == nil {
			response.Body.Close()
			return r
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("docker-registry does not answer at %s", r.host)
	return r
}

// address is one of this machine's that is not loopback.
func address(t *testing.T) net.IP {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP
		}
	}
	t.Fatal("this machine has no address but loopback")
	return nil
}

// certificate makes an authority, dir/ca.pem, and a certificate of its for this
// machine's address, dir/cert.pem with dir/key.pem.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	save := func(name, kind string, der []byte) {
		harness.Write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority for a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	check(err)
	save("ca.pem", "CERTIFICATE", der)
	parsed, err := x509.ParseCertificate(der)
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "registry"}, IPAddresses: []net.IP{address(t)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, parsed, key.Public(), caKey)
	check(err)
	save("cert.pem", "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(key)
	check(err)
	save("key.pem", "EC PRIVATE KEY", der)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// has tells whether the registry serves HOST/path@digest, without any of
// rtbuild's code.
func (r privateRegistry) has(t *testing.T, image string) bool {
	t.Helper()
	path, digest, _ := strings.Cut(strings.TrimPrefix(image, r.host+"/"), "@")
	path, _, _ = strings.Cut(path, ":")
	request, err := http.NewRequest(http.MethodHead, "https://"+r.host+"/v2/"+path+"/manifests/"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("user", "secret")
	request.Header["Accept"] = []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
	response, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// trustedByDocker makes the Docker engine of this machine trust the registry
// until the test ends.
func (r privateRegistry) trustedByDocker(t *testing.T) {
	t.Helper()
	folder := filepath.Join("/etc/docker/certs.d", r.host)
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(folder)) // if nobody else has something there
	})
	harness.Write(t, filepath.Join(folder, "ca.crt"), harness.Read(t, r.ca))
}

// A registry with a login and an authority of its own: REGISTRY_AUTH_FILE and
// --ca-file reach what rtbuild asks and what the engine pushes and pulls (the
// child's parent); an engine with certificates of its own says where they are.
func TestPrivateRegistry(t *testing.T) {
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			r := private(t)
			t.Setenv("DOCKER_CONFIG", t.TempDir()) // no login there
			root := small(t)
			before := sources(t, root)
			args := []string{"all", "--push", "--builder", builder, "--registry", r.host}

			if out := harness.Want(t, 1, root, args...); !strings.Contains(out.Stderr, "certificate signed by unknown authority") {
				t.Errorf("without --ca-file:\n%s", harness.Tail(out.Stderr))
			}
			args = append(args, "--ca-file", r.ca)
			if out := harness.Want(t, 1, root, args...); !strings.Contains(out.Stderr, "unauthorized") || !strings.Contains(out.Stderr, r.host) {
				t.Errorf("without a login:\n%s", harness.Tail(out.Stderr))
			}
			t.Setenv("REGISTRY_AUTH_FILE", r.logins)
			if strings.HasPrefix(builder, "docker") {
				out := harness.Want(t, 1, root, args...)
				if hint := "/etc/docker/certs.d/" + r.host + "/ca.crt"; !strings.Contains(out.Stderr, hint) {
					t.Errorf("stderr does not name %s:\n%s", hint, harness.Tail(out.Stderr))
				}
				r.trustedByDocker(t)
			}
			unchanged(t, root, before)

			out := harness.Want(t, 0, root, args...)
			images := imagesOf(t, out.Stdout)
			if len(images) != 2 {
				t.Errorf("images %q", images)
			}
			for _, image := range images {
				if !r.has(t, image) {
					t.Errorf("the registry does not have %s", image)
				}
			}
			if strings.Contains(out.Stderr, "secret") || strings.Contains(out.Stderr, "dXNlcjpzZWNyZXQ=") {
				t.Errorf("the password is in the output:\n%s", out.Stderr)
			}
		})
	}
}
