package registry

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
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
	if _, err := New(Config{CAFiles: []string{authority}}).Resolve(t.Context(), ref); !errors.Is(err, reference.ErrNotFound) {
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
		if err == nil || errors.Is(err, reference.ErrUnreachable) {
			t.Fatalf("%s: %v", file, err)
		}
		mustContain(t, err, ref, file, says)
	}
}

// No host has more to work on at once than Config.Concurrency says.
func TestConcurrencyPerHost(t *testing.T) {
	noCredentials(t)
	const limit = 3
	arrived, leave := make(chan struct{}, 100), make(chan struct{})
	var running, highest atomic.Int32
	host, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := running.Add(1)
		for seen := highest.Load(); n > seen; seen = highest.Load() {
			if highest.CompareAndSwap(seen, n) {
				break
			}
		}
		arrived <- struct{}{}
		<-leave
		running.Add(-1)
		w.WriteHeader(http.StatusNotFound)
	}))
	c := New(Config{Concurrency: limit})
	var group sync.WaitGroup
	for n := range 4 * limit {
		group.Go(func() {
			if _, err := c.Resolve(t.Context(), fmt.Sprintf("%s/acme/rt%d:1", host, n)); err == nil {
				t.Error("found what is not there")
			}
		})
	}
	for range limit {
		<-arrived
	}
	close(leave)
	group.Wait()
	if n := highest.Load(); n != limit {
		t.Errorf("%d requests at once, want %d", n, limit)
	}
}
