package registry

import (
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/release"
)

func TestCAFiles(t *testing.T) {
	noCredentials(t)
	server := httptest.NewTLSServer(newRegistry())
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "https://") + "/acme/go:1"
	folder := t.TempDir()
	authority := filepath.Join(folder, "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{CAFiles: []string{authority}}).Resolve(t.Context(), ref); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("with the authority's file: %v, want not found", err)
	}

	empty := filepath.Join(folder, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{
		filepath.Join(folder, "absent.pem"): "no such file",
		empty:                               "holds no certificate",
	} {
		_, err := New(Config{CAFiles: []string{authority, file}}).Resolve(t.Context(), ref)
		if err == nil || errors.Is(err, release.ErrUnreachable) {
			t.Fatalf("%s: %v", file, err)
		}
		mustContain(t, err, ref, file, says)
	}
}
