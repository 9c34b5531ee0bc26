//go:build e2e && linux

package engine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// A transcript is what an engine reports, for several writers.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// secretFile writes a secret that no build before had.
func secretFile(t *testing.T) (path, secret string) {
	t.Helper()
	path, secret = filepath.Join(t.TempDir(), "secret"), "s3cret-"+fresh()
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, secret
}

// A step can read a secret; even one that prints it leaves it in no layer, in
// no configuration and in no progress.
func testSecrets(t *testing.T, b bench) {
	path, secret := secretFile(t)
	out := &transcript{}
	b.builder = openBuilderTo(t, b.choice, out)
	req := b.request(t, "secrets", map[string]string{
		"Dockerfile": "FROM scratch\nCOPY tool /tool\nENV N=" + fresh() + "\n" +
			"RUN --mount=type=secret,id=token [\"/tool\", \"sum\", \"/run/secrets/token\", \"/sum\"]\n" +
			"RUN --mount=type=secret,id=token [\"/tool\", \"cat\", \"/run/secrets/token\"]\n",
	})
	req.Secrets = map[string]string{"token": path}
	_, image := b.pushed(t, req)
	if err := b.builder.Close(); err != nil { // which writes the last of the progress
		t.Fatal(err)
	}
	want := sha256.Sum256([]byte(secret))
	if got := image.files["/sum"]; got != hex.EncodeToString(want[:]) {
		t.Errorf("the step saw a secret with the sum %q, want %x", got, want)
	}
	for name, content := range image.files {
		if strings.Contains(content, secret) {
			t.Errorf("the image has the secret in %s", name)
		}
	}
	config, err := json.Marshal(image.config)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(config), secret) {
		t.Error("the image has the secret in its configuration")
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("the secret shows:\n%s", out)
	}
	if !strings.Contains(out.String(), masked) {
		t.Errorf("the step's output does not show, not even masked:\n%s", out)
	}
}

// A step that prints a secret and fails: neither the error nor the log with it
// has the secret.
func testSecretsOfFailingStep(t *testing.T, b bench) {
	path, secret := secretFile(t)
	req := b.request(t, "failing-with-secret", map[string]string{
		"Dockerfile": "FROM scratch\nCOPY tool /tool\nENV N=" + fresh() + "\n" +
			"RUN --mount=type=secret,id=token [\"/tool\", \"cat\", \"/run/secrets/token\", \"then fail\"]\n",
	})
	req.Secrets = map[string]string{"token": path}
	_, err := b.builder.Build(t.Context(), req)
	var step *build.StepError
	if !errors.As(err, &step) {
		t.Fatalf("Build = %T %v, want a StepError", err, err)
	}
	log := strings.Join(step.Log, "\n")
	if strings.Contains(err.Error()+log, secret) || !strings.Contains(log, masked) {
		t.Errorf("error %q with the log %q: want the secret masked", err, log)
	}
}

// A secret or an agent that is missing is told before the build.
func testMissingSecret(t *testing.T, b bench) {
	missing := filepath.Join(t.TempDir(), "missing")
	req := b.request(t, "missing", map[string]string{"Dockerfile": "not even a Dockerfile"})
	req.Secrets = map[string]string{"token": missing}
	_, err := b.builder.Build(t.Context(), req)
	if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), `"token"`) {
		t.Errorf("Build = %v, want an error with the secret's id and its path", err)
	}
}

// A step can use a key through an agent without seeing it.
func testSSH(t *testing.T, b bench) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"default", "git"} {
		req := b.request(t, "ssh", map[string]string{
			"Dockerfile": fmt.Sprintf("FROM scratch\nCOPY tool /tool\nENV N=%s\nRUN --mount=type=ssh,id=%s [\"/tool\", \"keys\", \"/keys\"]\n", fresh(), id),
		})
		req.SSH = map[string]string{id: path}
		if _, image := b.pushed(t, req); image.files["/keys"] != "1" {
			t.Errorf("the step sees %q keys of the agent %s, want 1", image.files["/keys"], id)
		}
	}
}
