package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// rewire sends every connection to one server, whatever the host.
func rewire(server string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, server)
	}}
}

func TestPlainHTTP(t *testing.T) {
	noCredentials(t)
	server, requests := startServer(t, newRegistry())
	for _, test := range []struct {
		host     string
		insecure []string
		allowed  bool
	}{
		{host: "127.0.0.1:5000", allowed: true},
		{host: "127.8.8.8:5000", allowed: true},
		{host: "[::1]:5000", allowed: true},
		{host: "localhost:5000", allowed: true},
		{host: "registry.example:5000"},
		{host: "registry.example", insecure: []string{"other.example"}},
		{host: "registry.example:5000", insecure: []string{"registry.example"}, allowed: true},
		{host: "registry.example:5000", insecure: []string{"registry.example:5000"}, allowed: true},
		{host: "registry.example:5000", insecure: []string{"registry.example:5001"}},
		// The library would try plain HTTP for these by itself.
		{host: "10.0.0.1:5000"},
		{host: "192.168.1.1:5000"},
		{host: "10.0.0.1:5000", insecure: []string{"10.0.0.1"}, allowed: true},
		{host: "registry.localhost:5000"},
	} {
		t.Run(test.host+" "+strings.Join(test.insecure, ","), func(t *testing.T) {
			requests.take()
			c := New(Config{Insecure: test.insecure, Transport: rewire(server)})
			_, err := c.Resolve(t.Context(), test.host+"/acme/go:1")
			if test.allowed {
				if !errors.Is(err, reference.ErrNotFound) {
					t.Errorf("got %v, want not found", err)
				}
				return
			}
			if !errors.Is(err, reference.ErrUnreachable) {
				t.Fatalf("got %v, want unreachable", err)
			}
			mustContain(t, err, "list it as an insecure registry")
			if seen := requests.take(); len(seen) > 0 {
				t.Errorf("requests over plain HTTP: %v", seen)
			}
		})
	}
}
