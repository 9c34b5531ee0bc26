package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A history has one revision, "then".
type history struct {
	err      error
	unfilled []string
}

func (h history) Unfilled(context.Context) ([]string, error) { return h.unfilled, nil }

func (h history) Export(_ context.Context, rev, dir string) (string, error) {
	if h.err != nil || rev != "then" {
		return "", errors.Join(h.err, fmt.Errorf("revision %s: %w", rev, ErrUnknownRevision))
	}
	return dir, os.WriteFile(filepath.Join(dir, "then"), nil, 0o644)
}

// prepared are steps "name=fingerprint", each in the context stable/name.
func prepared(t *testing.T, steps ...string) *build.Prepared {
	t.Helper()
	p := &build.Prepared{}
	for _, text := range steps {
		name, fingerprint, _ := strings.Cut(text, "=")
		repository, tag, _ := strings.Cut(name, ":")
		ref, err := reference.Parse("acme/" + repository)
		if err != nil {
			t.Fatal(err)
		}
		target := &discover.Target{Name: name, Repository: ref, Tags: strings.Split(tag, "+"), Context: "stable/" + repository}
		p.Steps = append(p.Steps, build.PreparedStep{Step: build.Step{Target: target}, Fingerprint: fingerprint})
	}
	return p
}

func TestSince(t *testing.T) {
	today := prepared(t, "same:1=a", "changed:1=b", "new:1=c", "unknown:1=")
	before := prepared(t, "same:1=a", "changed:1=a", "unknown:1=", "gone:1=d")
	const all = "changed:1 new:1 same:1 unknown:1"
	for _, test := range []struct {
		rev, want, whole string
		history          history
		prepareErr       error
		err              error
	}{
		{rev: "then", want: "changed:1 new:1 unknown:1"},
		{rev: strings.Repeat("0", 40), want: all, whole: "not a commit"},
		{rev: strings.Repeat("0", 64), want: all, whole: "not a commit"},
		{rev: "0", err: ErrUnknownRevision},
		{rev: strings.Repeat("Ab", 20), want: all, whole: "not in this clone"},
		{rev: strings.Repeat("ab", 20), history: history{err: ErrShallow}, err: ErrShallow},
		{rev: "then", history: history{err: ErrNoTree}, want: all, whole: "not in it"},
		{rev: "no-such-branch", err: ErrUnknownRevision},
		{rev: strings.Repeat("g", 40), err: ErrUnknownRevision},
		{rev: "then", prepareErr: errors.New("DIR/x:1: broken"), want: all, whole: "cannot be read: x:1: broken"},
		{rev: "then", history: history{err: os.ErrPermission}, err: os.ErrPermission},
		{rev: "then", history: history{unfilled: []string{"docs/theme", "stable/samely"}}, want: "changed:1 new:1 unknown:1"},
	} {
		got, err := since(t.Context(), test.history, test.rev, today, func(_ context.Context, dir string) (*Snapshot, error) {
			if _, err := os.Stat(filepath.Join(dir, "then")); err != nil {
				t.Errorf("%s: prepared a tree that was not exported: %v", test.rev, err)
			}
			if test.prepareErr != nil {
				return nil, errors.New(strings.ReplaceAll(test.prepareErr.Error(), "DIR", dir))
			}
			return &Snapshot{Images: before}, nil
		})
		if test.err != nil {
			if !errors.Is(err, test.err) {
				t.Errorf("%s: got %v, want %v", test.rev, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.rev, err)
			continue
		}
		if names := strings.Join(slices.Sorted(maps.Keys(got.Targets)), " "); names != test.want || !strings.Contains(got.Whole, test.whole) || (got.Whole == "") != (test.whole == "") {
			t.Errorf("%s: got %q because %q, want %q because %q", test.rev, names, got.Whole, test.want, test.whole)
		}
	}
}

func TestSinceInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := since(ctx, history{}, "then", prepared(t, "a:1=a"), func(context.Context, string) (*Snapshot, error) {
		cancel()
		return nil, errors.New("interrupted half-way")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSinceOtherTags(t *testing.T) {
	today := prepared(t, "a:1+2=a")
	today.Steps[0].Name = "a:1"
	got, err := since(t.Context(), history{}, "then", today, func(context.Context, string) (*Snapshot, error) {
		return &Snapshot{Images: prepared(t, "a:1=a")}, nil
	})
	if err != nil || !got.Targets["a:1"] {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSinceSubmodules(t *testing.T) {
	for _, unfilled := range []string{"stable/a", "stable", "stable/a/lib/deep"} {
		_, err := since(t.Context(), history{unfilled: []string{unfilled}}, "then", prepared(t, "a:1=a"), nil)
		if err == nil || !strings.Contains(err.Error(), unfilled) || !strings.Contains(err.Error(), "a:1") {
			t.Errorf("%s: %v", unfilled, err)
		}
	}
}
