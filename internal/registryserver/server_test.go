package registryserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// A folder's address stays the same from run to run, and no two folders have
// one.
func TestFoldersKeepTheirAddresses(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	first := start(t, Config{Root: root})
	second := start(t, Config{Root: other})
	if first.Address() == second.Address() {
		t.Fatalf("two folders at %s", first.Address())
	}
	want, wantOther := first.Address(), second.Address()
	for range 2 {
		stop(t, first)
		stop(t, second)
		// In the other order: what counts is the folder.
		second, first = start(t, Config{Root: other}), start(t, Config{Root: root})
		if first.Address() != want || second.Address() != wantOther {
			t.Errorf("at %s and %s, before at %s and %s", first.Address(), second.Address(), want, wantOther)
		}
		if first.Displaced() != "" {
			t.Errorf("displaced from %s", first.Displaced())
		}
	}
	// Another address for one run changes nothing.
	stop(t, first)
	stop(t, start(t, Config{Root: root, Address: "127.0.0.1:0"}))

	// One that is taken is replaced for good.
	taken, err := net.Listen("tcp", want)
	if err != nil {
		t.Fatal(err)
	}
	first = start(t, Config{Root: root})
	next := first.Address()
	if next == want || first.Displaced() != want {
		t.Errorf("%s is taken: at %s, displaced from %q", want, next, first.Displaced())
	}
	stop(t, first)
	taken.Close()
	if first = start(t, Config{Root: root}); first.Address() != next || first.Displaced() != "" {
		t.Errorf("at %s, displaced from %q, want %s", first.Address(), first.Displaced(), next)
	}
}

// Folders whose servers never run at the same time have addresses of their own,
// too.
func TestFoldersInTurn(t *testing.T) {
	first := start(t, Config{Root: t.TempDir()})
	stop(t, first)
	second := start(t, Config{Root: t.TempDir()})
	if first.Address() == second.Address() {
		t.Errorf("both at %s", first.Address())
	}
}

func TestBrokenAddressFile(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, addressName)
	if err := os.WriteFile(path, []byte("here"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Root: root})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("got %v, want an error that names %s and says what to do", err, path)
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
