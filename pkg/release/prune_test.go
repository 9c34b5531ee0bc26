package release_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/prune"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// git runs git in the stage's tree, as of so many days ago.
func (s *stage) git(daysAgo int, args ...string) {
	s.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=n@example.org"}, args...)...)
	date := time.Now().AddDate(0, 0, -daysAgo).Format(time.RFC3339)
	cmd.Dir, cmd.Env = s.root, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_COMMITTER_DATE="+date, "GIT_AUTHOR_DATE="+date)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// prunable are the stage's images at the registry.
func (s *stage) prunable(keep prune.Retention) []prune.Stored {
	s.t.Helper()
	edges := s.edges(s.root)
	log, err := git.Open(s.t.Context(), s.root)
	if err != nil {
		s.t.Fatal(err)
	}
	o := release.Options{}
	o.Destination = s.host
	images, err := prune.Find(s.t.Context(), s.project, s.client, log, edges, o, keep)
	if err != nil {
		s.t.Fatal(err)
	}
	return images
}

// published releases the tree and commits its pins, and returns the digests of a
// and b.
func (s *stage) published(daysAgo int) (a, b string) {
	s.t.Helper()
	o := release.Options{Publish: true, Pin: true}
	o.Push = true
	if result, err := s.release(s.t.Context(), o); err != nil || result.Failed() > 0 {
		s.t.Fatalf("%v, %v", err, result)
	}
	s.git(daysAgo, "add", "-A")
	s.git(daysAgo, "commit", "-q", "-m", "x")
	return s.tag("a"), s.tag("b")
}

func TestPrune(t *testing.T) {
	s := newStage(t)
	s.git(200, "init", "-q", "-b", "main")
	a1, b1 := s.published(100)
	s.write("stable/a/file", "of a, changed\n")
	a2, b2 := s.published(50)
	s.write("stable/b/file", "of b, changed\n")
	_, b3 := s.published(10)
	// Pushed and never released.
	s.write("stable/b/file", "of b, tried\n")
	o := release.Options{}
	o.Push = true
	tried, err := s.release(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	orphan := tried.Targets[1].Digest
	s.write("stable/b/file", "of b, changed\n")

	names := map[string]string{a1: "a1", b1: "b1", a2: "a2", b2: "b2", b3: "b3", orphan: "orphan"}
	if len(names) != 6 {
		t.Fatalf("the images are not six: %v", names)
	}
	wanted := func(what string, keep prune.Retention, want string) {
		t.Helper()
		var got []string
		for _, image := range s.prunable(keep) {
			if !image.Needed() {
				got = append(got, names[image.Digest])
			}
		}
		slices.Sort(got)
		if list := strings.Join(got, " "); list != want {
			t.Errorf("%s: nothing needs %q, want %q", what, list, want)
		}
	}
	daysAgo := func(days int) time.Time { return time.Now().AddDate(0, 0, -days) }
	wanted("today alone", prune.Retention{Since: daysAgo(0)}, "a1 b1 b2 orphan")
	wanted("one release", prune.Retention{Releases: 1, Since: daysAgo(0)}, "a1 b1 b2 orphan")
	wanted("two releases", prune.Retention{Releases: 2, Since: daysAgo(0)}, "a1 b1 orphan")
	wanted("three releases", prune.Retention{Releases: 3, Since: daysAgo(0)}, "orphan")
	wanted("forty days", prune.Retention{Since: daysAgo(40)}, "a1 b1 orphan")
	wanted("sixty days, of which the first state held ten", prune.Retention{Since: daysAgo(60)}, "orphan")
	s.write("stable/b/file", "of b, tried\n")
	wanted("what today's sources make", prune.Retention{Since: daysAgo(0)}, "a1 b1 b2")
	s.write("stable/b/file", "of b, changed\n")
	s.git(5, "branch", "old", "HEAD~1")
	wanted("what a branch pins", prune.Retention{Releases: 1, Since: daysAgo(0)}, "a1 b1 orphan")
	s.git(5, "branch", "-q", "-D", "old")
	if err := s.client.Tag(t.Context(), s.host+"/acme/b:mine", b1); err != nil {
		t.Fatal(err)
	}
	wanted("what is tagged, and what that is built from", prune.Retention{Since: daysAgo(0)}, "b2 orphan")

	deleted, err := prune.Delete(t.Context(), s.client, s.prunable(prune.Retention{Since: daysAgo(0)}))
	if err != nil || len(deleted) != 2 {
		t.Errorf("deleted %q, %v", deleted, err)
	}
	for digest, name := range names {
		gone := s.digest(s.host+"/acme/a@"+digest) == "" && s.digest(s.host+"/acme/b@"+digest) == ""
		if want := name == "b2" || name == "orphan"; gone != want {
			t.Errorf("%s is gone: %v, want %v", name, gone, want)
		}
	}
	wanted("when all that is done", prune.Retention{Since: daysAgo(0)}, "")
}

// labelled is an image that says which fingerprint it was made from.
func labelled(t *testing.T, fingerprint string) v1.Image {
	t.Helper()
	image, err := random.Image(64, 1)
	if err == nil {
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{Labels: map[string]string{build.LabelFingerprint: fingerprint}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// An index stands and falls with its images.
func TestPruneIndexes(t *testing.T) {
	s := newStage(t)
	s.git(1, "init", "-q", "-b", "main")
	s.published(1)
	c, d := strings.Repeat("c", 64), strings.Repeat("d", 64)
	first, second := labelled(t, c), labelled(t, d)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: first}, mutate.IndexAddendum{Add: second})
	push := func(tag string, what remote.Taggable) {
		t.Helper()
		ref, err := name.NewTag(s.host + "/acme/b:" + tag)
		if err == nil {
			err = remote.Put(ref, what)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ref, err := name.NewTag(s.host + "/acme/b:1-" + c[:12])
	if err == nil {
		err = remote.WriteIndex(ref, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	push("1-"+d[:12], second)
	keep := prune.Retention{Since: time.Now()}
	push("mine", index)
	for _, image := range s.prunable(keep) {
		if !image.Needed() {
			t.Errorf("%s is not needed, though a tag stands for the index", image)
		}
	}
	push("mine", labelled(t, c))
	images := s.prunable(keep)
	deleted, err := prune.Delete(t.Context(), s.client, images)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, part := range []interface{ Digest() (v1.Hash, error) }{index, first, second} {
		digest, err := part.Digest()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%s/acme/b@%s", s.host, digest))
	}
	slices.Sort(want)
	slices.Sort(deleted)
	if !slices.Equal(deleted, want) {
		t.Errorf("deleted\n%q, want\n%q", deleted, want)
	}
}
