package release_test

import (
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/release"
)

// The lock file gets what Dockerfiles name, drops what none does, and tells what
// moved.
func TestLock(t *testing.T) {
	s := newStage(t)
	base, other := s.host+"/lib/base:1", s.host+"/lib/other:1"
	first := push(t, base)
	push(t, other)
	s.write("stable/a/Dockerfile", "FROM "+base+"\nCOPY --from="+other+" / /x\n")
	described := func(changes []release.LockChange) string {
		var parts []string
		for _, c := range changes {
			short := func(digest string) string {
				return strings.TrimPrefix(digest, "sha256:")[:min(4, max(0, len(digest)-7))]
			}
			parts = append(parts, strings.TrimPrefix(c.Image, s.host)+" "+short(c.Old)+">"+short(c.New)+" "+strings.Join(c.Targets, ","))
		}
		return strings.Join(parts, "; ")
	}
	short := func(digest string) string { return digest[7:11] }
	lock := func(all bool, names ...string) (string, error) {
		t.Helper()
		bases := s.edges(s.root).Bases
		changes, err := s.project.Lock(t.Context(), bases, []string{"linux/amd64"}, all, names)
		if err == nil {
			err = bases.Save()
		}
		return described(changes), err
	}
	if got, err := lock(false); err != nil || !strings.HasPrefix(got, "/lib/base:1 >"+short(first)+" a:1; /lib/other:1 >") {
		t.Errorf("at first: %s, %v", got, err)
	}
	second := push(t, base)
	edges := s.edges(s.root)
	images, err := s.project.BaseImages(edges.Bases)
	if err != nil || len(images) != 2 {
		t.Fatalf("%v, %v", images, err)
	}
	moved := "/lib/base:1 " + short(first) + ">" + short(second) + " a:1"
	if outdated, err := edges.Bases.Outdated(t.Context(), images); err != nil || described(outdated) != moved {
		t.Errorf("outdated: %s, %v; want %s", described(outdated), err, moved)
	}
	if got, err := lock(false); err != nil || got != "" {
		t.Errorf("nothing new: %s, %v", got, err)
	}
	if got, err := lock(false, base); err != nil || got != moved {
		t.Errorf("by name: %s, %v; want %s", got, err, moved)
	}
	third := push(t, other)
	if got, err := lock(true); err != nil || !strings.HasSuffix(got, ">"+short(third)+" a:1") {
		t.Errorf("all: %s, %v", got, err)
	}
	_, err = lock(false, "acme/none:1")
	contains(t, "no base", err, "no Dockerfile of this tree names docker.io/acme/none:1 as a base image")
	s.write("stable/a/Dockerfile", "FROM "+base+"\n")
	if got, err := lock(false); err != nil || got != "/lib/other:1 "+short(third)+"> " {
		t.Errorf("dropped: %s, %v", got, err)
	}
	s.write("stable/a/Dockerfile", "FROM "+s.host+"/lib/missing:1\n")
	_, err = lock(false)
	contains(t, "missing", err, "/lib/missing:1")
}
