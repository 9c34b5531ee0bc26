package build_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// recorder is an engine that builds nothing: it records what it is asked
// for, and fails for the names in fail. The tests of scheduling use it; real
// engines are tested in test/e2e.
type recorder struct {
	fail map[string]bool

	mu       sync.Mutex
	requests map[string]build.Request
	order    []string
}

func (r *recorder) Build(ctx context.Context, req build.Request) (build.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests[req.Name] = req
	r.order = append(r.order, req.Name)
	if r.fail[req.Name] {
		return build.Result{}, errors.New("does not build")
	}
	return build.Result{Digest: digestOf(req.Name)}, ctx.Err()
}

func (r *recorder) Capabilities() build.Capabilities { return build.Capabilities{} }
func (r *recorder) Close() error                     { return nil }

func digestOf(name string) string { return fmt.Sprintf("sha256:%064x", name)[:71] }

// where answers for registries: it confirms what the recorder built, except
// for the references in moved, and has the images in existing from before; those
// in from say what they were made from. It counts what it is asked.
type where struct {
	moved    map[string]bool
	existing map[string]string
	from     map[string]string
	asked    *atomic.Int32
	engine   *recorder
}

func (w where) Digest(_ context.Context, ref reference.Reference) (string, error) {
	return digestOf(ref.Name), nil
}

// Config: the image acme/onbuild has an instruction, and of acme/unknown nobody
// can tell. The image acme/old is from 1970.
func (w where) Config(_ context.Context, ref reference.Reference, _, platform string) (baseimage.Config, bool, error) {
	config := baseimage.Config{Created: time.Unix(1_700_000_000, 0), Env: []string{"PLATFORM=" + platform}}
	switch ref.Name {
	case "acme/onbuild":
		config.OnBuild = []string{"COPY conf /conf"}
	case "acme/unknown":
		return baseimage.Config{}, false, nil
	case "acme/old":
		config.Created = time.Unix(0, 0)
	}
	return config, true, nil
}

func (w where) Locate(_ context.Context, ref reference.Reference, digest string) (string, error) {
	if ref.Name == "debian" {
		return "mirror.example/debian@" + digest, nil
	}
	return "", nil
}

func (w where) Annotations(ctx context.Context, ref string) (reference.Descriptor, map[string]string, error) {
	descriptor, err := w.Resolve(ctx, ref)
	return descriptor, map[string]string{build.LabelFingerprint: w.from[ref]}, err
}

func (w where) Resolve(_ context.Context, ref string) (reference.Descriptor, error) {
	digest, err := w.digest(ref)
	return reference.Descriptor{Digest: digest}, err
}

func (w where) digest(ref string) (string, error) {
	if w.asked != nil {
		w.asked.Add(1)
	}
	if w.moved[ref] {
		return digestOf("somebody else's"), nil
	}
	if digest, ok := w.existing[ref]; ok {
		return digest, nil
	}
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	for name, req := range w.engine.requests {
		if slices.Contains(req.References, ref) {
			return digestOf(name), nil
		}
	}
	return "", reference.ErrNotFound
}

// tree makes targets a:1, b:1 … whose Dockerfiles are given.
func tree(t *testing.T, dockerfiles map[string]string) *build.Plan {
	t.Helper()
	root := t.TempDir()
	for name, source := range dockerfiles {
		write(t, root+"/stable/"+name+"/Dockerfile", source)
	}
	targets := targetsIn(dockerfiles)
	plan, err := build.NewPlan(root, targets, targets, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// targetsIn are targets a:1, b:1 … with a folder each.
func targetsIn(dockerfiles map[string]string) (targets []*discover.Target) {
	for name := range dockerfiles {
		targets = append(targets, &discover.Target{
			Name: name + ":1", Repository: reference.MustParse("acme/" + name), Tags: []string{"1"},
			Context: "stable/" + name, Dockerfile: "stable/" + name + "/Dockerfile", Kind: discover.KindRuntime,
		})
	}
	return targets
}

// reader is a recorder that reads what it is sent before, as engines do.
type reader struct{ *recorder }

func (r reader) Build(ctx context.Context, req build.Request) (build.Result, error) {
	err := req.Context.Walk(ctx, "/", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := req.Context.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(io.Discard, file)
		return err
	})
	if err != nil {
		return build.Result{}, err
	}
	return r.recorder.Build(ctx, req)
}

func do(t *testing.T, run build.Run, engine *recorder, w where, plan *build.Plan) map[string]build.Outcome {
	t.Helper()
	engine.requests = map[string]build.Request{}
	w.engine = engine
	run.Builder, run.Bases, run.Registry = engine, w, w
	outcomes := map[string]build.Outcome{}
	for _, out := range run.Do(t.Context(), run.Prepare(t.Context(), plan)) {
		outcomes[out.Name] = out
	}
	return outcomes
}
