package release_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// What options leave out is not done.
func TestReleaseInPart(t *testing.T) {
	for _, c := range []struct {
		name           string
		options        release.Options
		want           string
		tagged, pinned int
	}{
		{"built only", release.Options{}, "a:1 built, b:1 built", 0, 0},
		{"content alone", release.Options{Settings: build.Settings{Push: true}}, "a:1 built, b:1 built", 0, 0},
		{"tags alone", release.Options{Settings: build.Settings{Push: true}, Publish: true}, "a:1 built, b:1 built", 2, 0},
		{"one name", release.Options{Settings: build.Settings{Push: true}, Publish: true, Pin: true, Names: []string{"a"}}, "a:1 built", 1, 1},
		{"since the same", release.Options{Settings: build.Settings{Push: true}, Publish: true, Pin: true, Since: "same"}, "", 0, 0},
		{"since a change of b", release.Options{Settings: build.Settings{Push: true}, Publish: true, Pin: true, Since: "before-b"}, "a:1 built, b:1 built", 2, 2},
		{"since a change of a", release.Options{Settings: build.Settings{Push: true}, Publish: true, Pin: true, Since: "before-a"}, "a:1 built, b:1 built", 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			s.history = past{root: s.root}
			result, err := s.release(t.Context(), c.options)
			if err != nil {
				t.Fatal(err)
			}
			tagged := 0
			for _, image := range []string{"a", "b"} {
				if s.tag(image) != "" {
					tagged++
				}
			}
			if got := statuses(result); got != c.want || tagged != c.tagged || s.pinned() != c.pinned {
				t.Errorf("%s; %d tagged, %d pinned; want %s; %d, %d", got, tagged, s.pinned(), c.want, c.tagged, c.pinned)
			}
		})
	}
}

// A release that writes the lock file looks at today's tree again, and not at that
// of the revision.
func TestReleaseLooksBackOnce(t *testing.T) {
	s := newStage(t)
	s.pushBase()
	s.write("stable/a/Dockerfile", "FROM "+s.host+"/base:1\nCOPY file /\n")
	exports := 0
	s.history = past{root: s.root, exports: &exports}
	o := pushed
	o.Since, o.Platforms = "before-a", []string{"linux/amd64"}
	result, err := s.release(t.Context(), o)
	if err != nil || result.Targets[0].Status != build.StatusBuilt {
		t.Fatalf("%v, %s", err, statuses(result))
	}
	if exports != 1 || len(s.told) != 1 || !strings.HasPrefix(s.told[0], "locked") {
		t.Errorf("%d exports; told %q", exports, s.told)
	}
}

// past has the revisions "same", "before-a" and "before-b" of the tree at root.
type past struct {
	root    string
	exports *int // counted unless nil
}

func (p past) Unfilled(context.Context) ([]string, error) { return nil, nil }

func (p past) Export(_ context.Context, rev, dir string) (string, error) {
	if p.exports != nil {
		*p.exports++
	}
	if err := os.CopyFS(dir, os.DirFS(p.root)); err != nil {
		return "", err
	}
	if image, ok := strings.CutPrefix(rev, "before-"); ok {
		return dir, os.WriteFile(filepath.Join(dir, "stable", image, "file"), []byte("of before\n"), 0o644)
	}
	return dir, nil
}

// A revision that cannot be read counts as all changed, and people are told.
func TestReleaseSinceNothing(t *testing.T) {
	s := newStage(t)
	s.history = past{root: s.root}
	o := pushed
	o.Since = strings.Repeat("0", 40)
	result, err := s.release(t.Context(), o)
	if err != nil || statuses(result) != "a:1 built, b:1 built" {
		t.Fatalf("%v, %+v", err, result)
	}
	if len(s.told) != 1 || !strings.HasPrefix(s.told[0], "all changed since 0000") {
		t.Errorf("told %q", s.told)
	}
}
