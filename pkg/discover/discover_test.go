package discover_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// discovered is what is found in a tree with these Dockerfiles, whose manifests
// have these images: "FOLDER ID VERSION PHASE IMAGE" each, and after " | " the
// build field: "null", or "DOCKERFILE".
func discovered(t *testing.T, support []discover.Support, dockerfiles string, images ...string) (*discover.Discovery, error) {
	t.Helper()
	root := t.TempDir()
	for _, name := range strings.Fields(dockerfiles) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("FROM scratch\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := &manifest.Tree{Root: root}
	for i, line := range images {
		line, build, _ := strings.Cut(line, " | ")
		f := strings.Fields(line)
		image := manifest.Image{Phase: manifest.Phase(f[3]), Ref: reference.MustParse(f[4]), Pointer: fmt.Sprint("/", i)}
		switch build {
		case "":
		case "null":
			image.Build = &manifest.BuildSpec{External: true}
		default:
			image.Build = &manifest.BuildSpec{Dockerfile: strings.TrimPrefix(build, "-")}
		}
		r := slices.IndexFunc(tree.Runtimes, func(r manifest.Runtime) bool { return r.ID == f[1] })
		if r < 0 {
			tree.Runtimes = append(tree.Runtimes, manifest.Runtime{ID: f[1], Folder: f[0]})
			r = len(tree.Runtimes) - 1
		}
		versions := &tree.Runtimes[r].Versions
		v := slices.IndexFunc(*versions, func(v manifest.Version) bool { return v.Version == f[2] })
		if v < 0 {
			*versions = append(*versions, manifest.Version{Version: f[2]})
			v = len(*versions) - 1
		}
		(*versions)[v].Images = append((*versions)[v].Images, image)
	}
	return discover.Discover(tree, discover.Options{Support: support})
}

// described is a discovery in words: targets, then undecided Dockerfiles, then
// where images come from, then unused Dockerfiles.
func described(d *discover.Discovery) string {
	var parts []string
	for _, t := range d.Targets {
		parts = append(parts, fmt.Sprintf("%s=%s[%s]%s", t.Name, t.Dockerfile, strings.Join(t.Tags, " "), t.Kind))
	}
	for _, u := range d.Undecided {
		parts = append(parts, "?"+u.Dockerfile+" "+strings.Join(u.Candidates, "|"))
	}
	origins := ""
	for _, u := range d.Usages {
		origins += string(u.Origin)[:1]
	}
	parts = append(parts, origins)
	for _, t := range d.Unused {
		parts = append(parts, "-"+t.Name)
	}
	return strings.Join(parts, ", ")
}

func TestDiscover(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for _, test := range []struct {
		what, dockerfiles string
		images            []string
		want              string
	}{
		{"a Dockerfile for each version", "stable/a/Dockerfile.1 stable/a/Dockerfile.2", []string{"stable/a a 1 runtime acme/a", "stable/a a 2 runtime acme/a"},
			"a:1=stable/a/Dockerfile.1[1]runtime, a:2=stable/a/Dockerfile.2[2]runtime, bb"},
		{"one for all, the tags in order", "stable/a/Dockerfile", []string{"stable/a a 3.13 runtime acme/a", "stable/a a 3.9 runtime acme/a"},
			"a:3.9=stable/a/Dockerfile[3.9 3.13]runtime, bb"},
		{"init images, by both names", "stable/a/Dockerfile stable/a/Dockerfile.init.1 stable/a/Dockerfile.2.init",
			[]string{"stable/a a 1 installation acme/a-init", "stable/a a 1 runtime acme/a:1", "stable/a a 2 compilation acme/a-init:2", "stable/a a 2 runtime acme/a:2"},
			"a-init:1=stable/a/Dockerfile.init.1[1]init, a:1=stable/a/Dockerfile[1 2]runtime, a-init:2=stable/a/Dockerfile.2.init[2]init, bbbb"},
		{"a variant by its tag", "stable/a/Dockerfile.8 stable/a/Dockerfile.8.opt", []string{"stable/a a 8 runtime acme/a:8-opt"},
			"a:8-opt=stable/a/Dockerfile.8.opt[8-opt]runtime, b, -stable/a/Dockerfile.8"},
		{"a tag that is another version", "stable/a/Dockerfile.1 stable/a/Dockerfile.2", []string{"stable/a a 1 runtime acme/a:2", "stable/a a 2 runtime acme/a:2"},
			"a:2=stable/a/Dockerfile.2[2]runtime, bb, -stable/a/Dockerfile.1"},
		{"a tag that no version has", "stable/a/Dockerfile.1", []string{"stable/a a 1 runtime acme/a:latest"}, "a:latest=stable/a/Dockerfile.1[latest]runtime, b"},
		{"others' images", "stable/a/Dockerfile", []string{"stable/a a 1 runtime python:3", "stable/a a 2 runtime acme/a | null"}, "ee, -stable/a/Dockerfile"},
		{"an official image that is built", "stable/a/Dockerfile", []string{"stable/a a 1 runtime python:3 | -Dockerfile"}, "python:3=stable/a/Dockerfile[3]runtime, b"},
		{"no Dockerfile", "stable/a/README", []string{"stable/a a 1 runtime acme/a:1", "stable/a a 2 runtime acme/a:2" + digest}, "mk"},
		{"one Dockerfile for two repositories", "stable/a/Dockerfile", []string{"stable/a a 1 runtime acme/a", "stable/a a 2 runtime acme/b"}, "?stable/a/Dockerfile acme/a|acme/b, uu"},
		{"several for one image", "stable/a/Dockerfile.1.x stable/a/Dockerfile.1.y", []string{"stable/a a 1 runtime acme/a"},
			"?stable/a/Dockerfile.1.x stable/a/Dockerfile.1.x|stable/a/Dockerfile.1.y, u"},
		{"two ways to make one image", "stable/a/Dockerfile.1 stable/a/Dockerfile.2", []string{"stable/a a 1 runtime acme/a:x | -Dockerfile.1", "stable/a a 2 runtime acme/a:x | -Dockerfile.2"},
			"?stable/a/Dockerfile.1 stable/a/Dockerfile.1|stable/a/Dockerfile.2, uu"},
		{"the manifest decides", "stable/a/Dockerfile.1.x stable/a/Dockerfile.1.y", []string{"stable/a a 1 runtime acme/a | -Dockerfile.1.y"},
			"a:1=stable/a/Dockerfile.1.y[1]runtime, b, -stable/a/Dockerfile.1.x"},
		{"a borrowed image is its owner's to make", "stable/a/Dockerfile stable/a/Dockerfile.init stable/b/Dockerfile",
			[]string{"stable/a a 1 installation acme/a-init", "stable/a a 1 runtime acme/a", "stable/b b 1 installation acme/a-init", "stable/b b 1 runtime acme/b"},
			"a-init:1=stable/a/Dockerfile.init[1]init, a:1=stable/a/Dockerfile[1]runtime, b:1=stable/b/Dockerfile[1]runtime, bbbb"},
		{"the same name in two repositories", "stable/a/Dockerfile incubator/a/Dockerfile", []string{"stable/a a 1 runtime acme/a", "incubator/a b 1 runtime other/a"},
			"acme/a:1=stable/a/Dockerfile[1]runtime, other/a:1=incubator/a/Dockerfile[1]runtime, bb"},
		{"names that are none", "stable/a/Dockerfile.dockerignore stable/a/Dockerfile~ stable/a/Dockerfiles stable/a/Dockerfile./x stable/.a/Dockerfile", []string{"stable/a a 1 runtime acme/a"}, "m"},
		{"a version that looks like a variant's", "stable/a/Dockerfile.1.rc stable/a/Dockerfile.odd", []string{"stable/a a 1.rc runtime acme/a"},
			"a:1.rc=stable/a/Dockerfile.1.rc[1.rc]runtime, b, -stable/a/Dockerfile.odd"},
	} {
		d, err := discovered(t, nil, test.dockerfiles, test.images...)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
		} else if got := described(d); got != test.want {
			t.Errorf("%s: got  %s\nwant %s", test.what, got, test.want)
		}
	}
}

func TestSupport(t *testing.T) {
	support := []discover.Support{{Name: "base", Folder: "base", Repository: "acme/base"}, {Name: "tool", Folder: "x/", Dockerfile: "D", Repository: "acme/tool", Tag: "3"}}
	d, err := discovered(t, support, "stable/a/Dockerfile", "stable/a a 1 runtime acme/a")
	if err != nil || described(d) != "a:1=stable/a/Dockerfile[1]runtime, base=base/Dockerfile[latest]support, tool=x/D[3]support, b" {
		t.Errorf("%v, %v", d, err)
	}
	if made := d.TargetOf("/0"); made == nil || made.Name != "a:1" || d.TargetOf("/1") != nil {
		t.Errorf("%v", made)
	}
	for _, wrong := range []struct{ repository, name, want string }{
		{"acme/base:1", "base", "write the tag apart"},
		{"acme/BASE", "base", "could not parse"},
		{"acme/base", "a:1", "two images have the name a:1: stable/a/Dockerfile and base/Dockerfile; rename one"},
	} {
		_, err := discovered(t, []discover.Support{{Name: wrong.name, Folder: "base", Repository: wrong.repository}}, "stable/a/Dockerfile", "stable/a a 1 runtime acme/a")
		if err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// Names select targets, images and what is undecided; one that names nothing is
// an error that says what may have been meant.
func TestFind(t *testing.T) {
	d, err := discovered(t, nil, "stable/a/Dockerfile.1 stable/a/Dockerfile.2 stable/a/Dockerfile.init stable/b/Dockerfile stable/a/Dockerfile.old",
		"stable/a a 1 installation acme/a-init", "stable/a a 1 runtime acme/a", "stable/a a 2 installation acme/a-init", "stable/a a 2 runtime acme/a",
		"stable/b b 1 runtime acme/b", "stable/b b 2 runtime acme/c", "stable/a a 2 compilation python:3")
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"":                               "a-init:1 a:1 a:2 ? 7",
		"a":                              "a-init:1 a:1 a:2 5",
		"a:1":                            "a-init:1 a:1 3",
		"stable/a/":                      "a-init:1 a:1 a:2 5",
		"./stable/a/Dockerfile.old":      "stable/a/Dockerfile.old 0",
		"acme/a":                         "a:1 a:2 2",
		"acme/a:2 a-init:2":              "a-init:1 a:2 3",
		"a:2,b":                          "a-init:1 a:2 ? 6",
		"acme/c":                         "? 1",
		"stable/b/Dockerfile":            "? 0",
		"python:3":                       "1",
		"stable/a/Dockerfile.1,acme/a:2": "a:1 a:2 2",
	} {
		s, err := d.Find(strings.Fields(args))
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		var got []string
		for _, target := range s.Targets {
			got = append(got, target.Name)
		}
		for range s.Undecided {
			got = append(got, "?")
		}
		if text := strings.Join(append(got, fmt.Sprint(len(s.Usages))), " "); text != want {
			t.Errorf("%q: got %s, want %s", args, text, want)
		}
	}
	var unknown *discover.UnknownNameError
	if _, err := d.Find([]string{"a", "x"}); !errors.As(err, &unknown) || unknown.Name != "x" || !strings.Contains(err.Error(), `"x"; rtbuild list shows what there is`) {
		t.Errorf("%v", err)
	}
	for arg, want := range map[string]string{"b": "undecided: stable/b/Dockerfile", "python:3": "no Dockerfile of this tree makes its images", "x": "no runtime or target is named"} {
		if _, err := d.Select([]string{"a", arg}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("select %s: %v", arg, err)
		}
	}
	for args, want := range map[string]string{"a": "a:1 a:2", "a:2,a": "a:2 a:1", "stable/b": "b:1 b:2", "a-init:1": "a:1 a:2", "acme/a:2": "a:2"} {
		versions, err := d.Versions([]string{args})
		var got []string
		for _, v := range versions {
			got = append(got, v.Runtime+":"+v.Version)
		}
		if text := strings.Join(got, " "); err != nil || text != want {
			t.Errorf("versions of %s: got %s, %v; want %s", args, text, err, want)
		}
	}
	nothing, err := discovered(t, nil, "stable/a/README")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nothing.Find([]string{"a"}); err == nil || !strings.Contains(err.Error(), "this tree builds nothing") {
		t.Errorf("%v", err)
	}
}
