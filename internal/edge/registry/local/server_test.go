package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"
)

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func tag(t *testing.T, s *Server, rest string) name.Tag {
	t.Helper()
	ref, err := name.NewTag(s.Address() + "/" + rest)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func push(t *testing.T, s *Server, rest string) v1.Hash {
	t.Helper()
	image, err := random.Image(4096, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag(t, s, rest), image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func pull(t *testing.T, s *Server, rest string) v1.Hash {
	t.Helper()
	image, err := remote.Image(tag(t, s, rest))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		// Reading to the end checks the digest.
		if _, err := io.Copy(io.Discard, content); err != nil {
			t.Fatal(err)
		}
		content.Close()
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestImagesSurviveARestart(t *testing.T) {
	root := filepath.Join(t.TempDir(), "made", "on", "demand")
	first := start(t, Config{Root: root})
	want := push(t, first, "acme/go:1")
	push(t, first, "acme/go:2")
	stop(t, first)
	stop(t, first) // a second Close does nothing

	second := start(t, Config{Root: root})
	if second.Shared() {
		t.Fatal("the folder is still taken after Close")
	}
	if got := pull(t, second, "acme/go:1"); got != want {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
	tags, err := remote.List(tag(t, second, "acme/go:1").Repository)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tags)
	if !slices.Equal(tags, []string{"1", "2"}) {
		t.Errorf("tags: %v", tags)
	}
	repositories, err := remote.Catalog(t.Context(), tag(t, second, "acme/go:1").Registry)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(repositories, []string{"acme/go"}) {
		t.Errorf("repositories: %v", repositories)
	}
}

func TestDelete(t *testing.T) {
	s := start(t, Config{Root: t.TempDir()})
	digest := push(t, s, "acme/go:1")
	if err := remote.Delete(tag(t, s, "acme/go:1").Digest(digest.String())); err != nil {
		t.Fatal(err)
	}
	_, err := remote.Head(tag(t, s, "acme/go:1"))
	var answer *transport.Error
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusNotFound {
		t.Errorf("after deleting: %v, want 404", err)
	}
}

func TestIndex(t *testing.T) {
	s := start(t, Config{Root: t.TempDir()})
	index, err := random.Index(1024, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag(t, s, "acme/multi:1"), index); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Head(tag(t, s, "acme/multi:1"))
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := index.Digest(); got.Digest != want || got.MediaType != types.OCIImageIndex {
		t.Errorf("got %s %s, want %s", got.MediaType, got.Digest, want)
	}
}

func TestSecondStartShares(t *testing.T) {
	root := t.TempDir()
	owner := start(t, Config{Root: root})
	want := push(t, owner, "acme/go:1")
	guest := start(t, Config{Root: root})
	if !guest.Shared() || guest.Address() != owner.Address() {
		t.Fatalf("second: shared %v at %s; first at %s", guest.Shared(), guest.Address(), owner.Address())
	}
	stop(t, guest)
	if got := pull(t, owner, "acme/go:1"); got != want {
		t.Errorf("after the guest's Close: got %s, want %s", got, want)
	}
	stop(t, owner)
	if next := start(t, Config{Root: root}); next.Shared() {
		t.Error("shares a server that is closed")
	}
}

func TestManyStartsAtOnce(t *testing.T) {
	root := t.TempDir()
	servers := make([]*Server, 8)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			s, err := Start(t.Context(), Config{Root: root, Address: "127.0.0.1:0"})
			if err != nil {
				t.Error(err)
				return
			}
			servers[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	owners := 0
	for _, s := range servers {
		defer stop(t, s)
		if !s.Shared() {
			owners++
		}
		if s.Address() != servers[0].Address() {
			t.Errorf("addresses %s and %s", s.Address(), servers[0].Address())
		}
	}
	if owners != 1 {
		t.Errorf("%d servers own the folder, want 1", owners)
	}
}

// TestMain lets the test binary be the other process of
// TestStartWhileAnotherProcessServes.
func TestMain(m *testing.M) {
	root := os.Getenv("LOCAL_REGISTRY_TEST_ROOT")
	if root == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Config{Root: root, Address: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Address())
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed
}

func TestStartWhileAnotherProcessServes(t *testing.T) {
	root := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "LOCAL_REGISTRY_TEST_ROOT="+root)
	other.Stderr = os.Stderr
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		t.Fatal(err)
	}
	guest := start(t, Config{Root: root})
	if !guest.Shared() || guest.Address() != address {
		t.Errorf("shared %v at %s, want the other process's %s", guest.Shared(), guest.Address(), address)
	}
	want := push(t, guest, "acme/go:1")

	// Killed, it leaves its lock file with an address that nobody serves.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // reports the kill
	next := start(t, Config{Root: root})
	if next.Shared() {
		t.Fatal("shares the server of a process that was killed")
	}
	if got := pull(t, next, "acme/go:1"); got != want {
		t.Errorf("after the kill: got %s, want %s", got, want)
	}
}

// A lock file that names another registry's address, left by a process that
// was killed, must not lead there.
func TestFindChecksTheIdentity(t *testing.T) {
	stranger := start(t, Config{Root: t.TempDir()})
	path := filepath.Join(t.TempDir(), lockName)
	for _, content := range []string{"", "nonsense", stranger.Address(), stranger.Address() + " 0123456789abcdef\n"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if address, ok := find(t.Context(), path); ok {
			t.Errorf("lock file %q: found %s", content, address)
		}
	}
}

func TestLockedButNotServing(t *testing.T) {
	root := t.TempDir()
	lock, err := tryLock(filepath.Join(root, lockName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, Config{Root: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v; want the context's error", s, err)
	}
	if err := lock.release(); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Root: root})
}

func TestAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := start(t, Config{Root: t.TempDir(), Address: taken.Addr().String()})
	if s.Address() == taken.Addr().String() || !strings.HasPrefix(s.Address(), "127.0.0.1:") {
		t.Errorf("address %s with %s taken", s.Address(), taken.Addr())
	}
	push(t, s, "acme/go:1")

	// The one asked for, where it is free.
	want := s.Address()
	stop(t, s)
	if again := start(t, Config{Root: t.TempDir(), Address: want}); again.Address() != want {
		t.Errorf("address %s, want %s", again.Address(), want)
	}

	for _, address := range []string{"127.0.0.1", "nowhere.invalid:0"} {
		root := t.TempDir()
		if s, err := Start(t.Context(), Config{Root: root, Address: address}); err == nil {
			t.Errorf("address %q: started at %s", address, s.Address())
		}
		start(t, Config{Root: root}) // the folder is not left locked
	}
}

func TestRootThatIsAFile(t *testing.T) {
	root := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(root, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{Root: root}); err == nil || !strings.Contains(err.Error(), root) {
		t.Errorf("got %v, want an error that names %s", err, root)
	}
}

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

func TestLogGoesToConfigOnly(t *testing.T) {
	// Not parallel: the standard logger is the process's.
	hook := logrustest.NewLocal(logrus.StandardLogger())
	defer logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	var out bytes.Buffer
	s := start(t, Config{Root: t.TempDir(), Log: &out})
	push(t, s, "acme/go:1")
	if _, err := remote.Head(tag(t, s, "acme/none:1")); err == nil {
		t.Error("found an image that was never pushed")
	}
	stop(t, s)
	if !strings.Contains(out.String(), "acme/none") {
		t.Errorf("the log does not tell of the failed request:\n%s", out.String())
	}
	for _, entry := range hook.AllEntries() {
		t.Errorf("in the process's standard logger: %s", entry.Message)
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
