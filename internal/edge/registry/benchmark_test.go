package registry

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/rtbuild/rtbuild/internal/faultproxy"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// BenchmarkResolve30 resolves 30 references of 30 repositories with a new
// Client, each request taking 50 ms more: one after the other, at the default
// limits, and with a place for each.
func BenchmarkResolve30(b *testing.B) {
	const references = 30
	registry := httptest.NewServer(newRegistry())
	defer registry.Close()
	address := strings.TrimPrefix(registry.URL, "http://")
	for i := range references {
		image, err := random.Image(256, 1)
		if err != nil {
			b.Fatal(err)
		}
		write(b, fmt.Sprintf("%s/acme/rt%d:1", address, i), image)
	}
	for _, bench := range []struct {
		name    string
		cfg     Config
		resolve func(context.Context, *Client, []string) error
	}{
		{"serial", Config{}, func(ctx context.Context, c *Client, refs []string) error {
			for _, ref := range refs {
				if _, err := c.Resolve(ctx, ref); err != nil {
					return err
				}
			}
			return nil
		}},
		{"default", Config{}, func(ctx context.Context, c *Client, refs []string) error {
			_, err := release.ResolveAll(ctx, c, refs)
			return err
		}},
		{"concurrency32", Config{Concurrency: 32}, allAtOnce},
	} {
		b.Run(bench.name, func(b *testing.B) {
			proxy, host := startProxy(b, address, faultproxy.Config{Latency: 50 * time.Millisecond})
			refs := make([]string, references)
			for i := range refs {
				refs[i] = fmt.Sprintf("%s/acme/rt%d:1", host, i)
			}
			for b.Loop() {
				if err := bench.resolve(b.Context(), New(bench.cfg), refs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(proxy.Count(nil))/float64(b.N), "requests/op")
		})
	}
}

func allAtOnce(ctx context.Context, c *Client, refs []string) error {
	errs := make(chan error, len(refs))
	var group sync.WaitGroup
	for _, ref := range refs {
		group.Go(func() {
			if _, err := c.Resolve(ctx, ref); err != nil {
				errs <- err
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs // nil if there is none
}
