package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Streamed bodies leave their connections as they were, however late the
// writer runs on a busy machine: no client is taken for gone, and none is cut
// off.
func TestStreamedBodiesOnKeptConnections(t *testing.T) {
	p := start(t, "TEST_CONCURRENCY=64").ready()
	sent := strings.Repeat("0123456789abcdef", 100<<10/16)
	var clients sync.WaitGroup
	for range 64 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for range 20 {
				if got := p.do("POST", "/echo", strings.NewReader(sent)).want(t, http.StatusOK); got != sent {
					t.Errorf("%d bytes came back as %d", len(sent), len(got))
				}
			}
		}()
	}
	clients.Wait()
	if log := p.out.String(); strings.Contains(log, " 499 ") {
		t.Errorf("clients were taken for gone:\n%s", shorten(log))
	}
}
