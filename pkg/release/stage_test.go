package release_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// A stage is a repository of two runtimes with the edges of a release: a real
// registry in this process and an engine that pushes there what is asked for,
// each of which can be made to fail. The image of b is built from that of a.
type stage struct {
	t       *testing.T
	root    string
	host    string
	client  *registry.Client
	project *release.Project

	engine engine
	opened int
	// openErr and aloneErr fail what they name; untaggable fails the move of one
	// tag.
	openErr, aloneErr error
	untaggable        string
	gates             []release.Gate
	history           release.History

	told     []string
	unlocked int
}

// manifestOfA is that of the runtime a; b's is alike.
const manifestOfA = `{ ID: 'a', fileNameSuffix: '.x', versions: [{ name: 'a1', version: '1', images: [
  { phase: 'runtime', image: 'acme/a:1' },
] }] }
`

func newStage(t *testing.T) *stage {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no credentials of the machine
	server := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, root: root, host: strings.TrimPrefix(server.URL, "http://"), client: registry.New(registry.Config{Retries: -1})}
	s.write("runtimes.jsonnet", "[import 'stable/a/a.jsonnet', import 'stable/b/b.jsonnet']\n")
	s.write("stable/a/a.jsonnet", manifestOfA)
	s.write("stable/b/b.jsonnet", strings.NewReplacer("'a'", "'b'", "a1", "b1", "/a:", "/b:").Replace(manifestOfA))
	s.write("stable/a/Dockerfile", "FROM scratch\nCOPY file /\n")
	s.write("stable/a/file", "of a\n")
	s.write("stable/b/Dockerfile", "FROM acme/a:1\nCOPY file /\n")
	s.write("stable/b/file", "of b\n")
	return s
}

func (s *stage) write(path, content string) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// release releases the tree as it is now.
func (s *stage) release(ctx context.Context, o release.Options) (*release.Result, error) {
	s.t.Helper()
	edges := s.edges(s.root)
	o.Destination, o.Jobs = s.host, 2
	return s.project.Release(ctx, edges, o)
}

// edges opens the tree in a folder.
func (s *stage) edges(root string) release.Edges {
	s.t.Helper()
	project, err := release.Open(s.t.Context(), jsonnet.New(), root, &config.Config{})
	if err != nil {
		s.t.Fatal(err)
	}
	lock, err := lockfile.Load(filepath.Join(root, lockfile.FileName))
	if err != nil {
		s.t.Fatal(err)
	}
	s.project = project
	return release.Edges{
		Registry: untaggable{Client: s.client, ref: s.untaggable},
		Bases:    release.NewBases(lock, release.NewMirrors(s.client, nil), s.client, release.LockAdd),
		OpenBuilder: func(context.Context) (build.Builder, error) {
			s.opened++
			return &s.engine, s.openErr
		},
		Gates: s.gates,
		Alone: func() (func(), error) { return func() { s.unlocked++ }, s.aloneErr },
		OpenHistory: func(context.Context) (release.History, error) {
			return s.history, nil
		},
		Past: func(ctx context.Context, dir string) (*release.Snapshot, error) {
			today := s.project
			defer func() { s.project = today }()
			edges := s.edges(dir)
			images, err := s.project.Prepare(ctx, edges, release.Options{})
			if err != nil {
				return nil, err
			}
			definitions, err := s.project.Definitions()
			return &release.Snapshot{Images: images, Versions: definitions}, err
		},
		Observer: s,
	}
}

func (s *stage) Undecided(u discover.Undecided) { s.told = append(s.told, "undecided "+u.Dockerfile) }
func (s *stage) Locked(images []string)         { s.told = append(s.told, fmt.Sprint("locked ", images)) }
func (s *stage) AllChanged(rev, why string) {
	s.told = append(s.told, "all changed since "+rev+": "+why)
}
func (s *stage) NotCompared(rev string, images []string, why string) {
	s.told = append(s.told, fmt.Sprint("not compared with ", rev, ": ", images, ": ", why))
}
func (s *stage) tag(image string) string { return s.digest(s.host + "/acme/" + image + ":1") }
func (s *stage) pinned() int             { return strings.Count(s.manifests(), "@sha256:") }
func statuses(r *release.Result) (all string) {
	return join(r, func(o build.Outcome) string { return string(o.Status) })
}
func reasons(r *release.Result) (all string) {
	return join(r, func(o build.Outcome) string { return o.Reason })
}

func join(r *release.Result, of func(build.Outcome) string) string {
	var parts []string
	for _, out := range r.Targets {
		parts = append(parts, out.Name+" "+of(out))
	}
	return strings.Join(parts, ", ")
}

// manifests are both, one after the other.
func (s *stage) manifests() string {
	s.t.Helper()
	return readFile(s.t, filepath.Join(s.root, "stable/a/a.jsonnet")) + readFile(s.t, filepath.Join(s.root, "stable/b/b.jsonnet"))
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// digest is what a reference points to; empty: nothing.
func (s *stage) digest(ref string) string {
	descriptor, err := s.client.Resolve(s.t.Context(), ref)
	if err != nil {
		return ""
	}
	return descriptor.Digest
}

// An engine pushes an image of random content with the labels that it is asked
// for, except for the targets in fail.
type engine struct {
	fail     map[string]error
	during   func(build.Request)
	closeErr error

	mu    sync.Mutex
	built []string
}

func (e *engine) Build(_ context.Context, req build.Request) (build.Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.built = append(e.built, req.Name)
	if e.during != nil {
		e.during(req)
	}
	if err := e.fail[req.Name]; err != nil {
		return build.Result{}, err
	}
	image, err := random.Image(64, 1)
	if err == nil {
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{Labels: req.Labels}})
	}
	if err != nil || !req.Push {
		return build.Result{References: req.References}, err
	}
	annotated := mutate.Annotations(image, map[string]string{build.LabelFingerprint: req.Labels[build.LabelFingerprint]}).(v1.Image)
	digest, err := annotated.Digest()
	if err != nil {
		return build.Result{}, err
	}
	for _, text := range req.References {
		ref, err := name.ParseReference(text)
		if err == nil {
			err = remote.Write(ref, annotated)
		}
		if err != nil {
			return build.Result{}, err
		}
	}
	return build.Result{Digest: digest.String()}, nil
}

func (e *engine) Capabilities() build.Capabilities { return build.Capabilities{Engine: "recorder"} }
func (e *engine) Close() error                     { return e.closeErr }

// untaggable is a registry that refuses to move one tag.
type untaggable struct {
	*registry.Client
	ref string
}

func (u untaggable) Tag(ctx context.Context, ref, digest string) error {
	if u.ref != "" && strings.HasSuffix(ref, u.ref) {
		return reference.ErrForbidden
	}
	return u.Client.Tag(ctx, ref, digest)
}

// A gate refuses by target's name, and notes what it was asked.
type gate struct {
	refused  map[string]bool
	readyErr error
	lose     int // so many answers

	asked []string
	seen  map[string]string
}

func (g *gate) Ready(context.Context) error { return g.readyErr }

func (g *gate) Admit(_ context.Context, admission release.Admission) []error {
	var errs []error
	for _, c := range admission.Candidates {
		g.asked = append(g.asked, c.Target.Name)
		var err error
		if g.refused[c.Target.Name] {
			err = errors.New("answers 200 for a failure")
		}
		errs = append(errs, err)
	}
	g.seen = admission.Images
	return errs[g.lose:]
}

// pushBase pushes an image without layers, to be built from, to base:1 of the
// registry.
func (s *stage) pushBase() {
	s.t.Helper()
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, s.host+"/base:1", base)
}
