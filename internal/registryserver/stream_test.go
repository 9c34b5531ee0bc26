package registryserver

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestCloseFinishesWhatIsInFlight(t *testing.T) {
	root := t.TempDir()
	s := start(t, Config{Root: root})
	repository := "http://" + s.Address() + "/v2/acme/go"
	resp, err := http.Post(repository+"/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	body, send := io.Pipe()
	req, err := http.NewRequest(http.MethodPatch, resp.Header.Get("Location"), body)
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan string, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- err.Error()
			return
		}
		resp.Body.Close()
		status <- resp.Status
	}()
	// The request is under way once the server takes its body: more than the
	// buffers of the connection hold.
	if _, err := send.Write(make([]byte, 32<<20)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if _, err := send.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	send.Close()
	if got := <-status; got != "202 Accepted" {
		t.Errorf("the request in flight ended with %s", got)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}

	// Nobody will go on with that upload; the next start drops it.
	uploads := filepath.Join(root, "docker/registry/v2/repositories/acme/go/_uploads")
	if _, err := os.Stat(uploads); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Root: root})
	if _, err := os.Stat(uploads); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the abandoned upload is still there: %v", err)
	}
}

func TestUnusedConnections(t *testing.T) {
	var unused unusedConns
	reserve, reservePeer := net.Pipe()
	used, usedPeer := net.Pipe()
	late, latePeer := net.Pipe()
	unused.note(reserve, http.StateNew)
	unused.note(used, http.StateNew)
	unused.note(used, http.StateActive)
	unused.close()
	unused.note(late, http.StateNew)

	for name, peer := range map[string]net.Conn{"in reserve": reservePeer, "opened while closing": latePeer} {
		if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("connection %s: %v, want it closed", name, err)
		}
	}
	go func() { _, _ = usedPeer.Write([]byte("x")) }()
	if _, err := used.Read(make([]byte, 1)); err != nil {
		t.Errorf("connection with a request: %v, want it open", err)
	}
}

// A watchedReader is a body of zeros that notes how large the heap gets while
// it is read.
type watchedReader struct {
	left, sinceLook int
	highest         uint64
}

func (r *watchedReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), r.left)
	clear(p[:n])
	r.left -= n
	if r.sinceLook += n; r.sinceLook >= 4<<20 {
		r.sinceLook = 0
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		r.highest = max(r.highest, stats.HeapAlloc)
	}
	return n, nil
}

func TestMemoryStaysFlat(t *testing.T) {
	const size = 96 << 20
	s := start(t, Config{Root: t.TempDir()})
	resp, err := http.Post("http://"+s.Address()+"/v2/acme/big/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	body := &watchedReader{left: size}
	req, err := http.NewRequest(http.MethodPatch, resp.Header.Get("Location"), body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("upload: %s", resp.Status)
	}
	if body.highest == 0 || body.highest > size/2 {
		t.Errorf("the heap reached %d MiB for a blob of %d MiB", body.highest>>20, size>>20)
	}
}
