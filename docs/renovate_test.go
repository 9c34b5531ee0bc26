package docs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// What Renovate's managers for files of this tree find in those that rtbuild
// writes: every image of a lock file, and pinned images in manifests.
// hack/renovate.sh asks Renovate itself.
func TestRenovate(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	path := filepath.Join(t.TempDir(), lockfile.FileName)
	lock, err := lockfile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, image := range []string{"docker.io/library/debian:trixie-slim", "docker.io/library/golang:latest", "registry.lan:5000/acme/base:1.2"} {
		ref, err := reference.Parse(image)
		if err != nil {
			t.Fatal(err)
		}
		lock.Set(ref, digest)
		want = append(want, image+"@"+digest)
	}
	lock.SetConfig(digest, "linux/amd64", baseimage.Config{User: "1000"})
	if err := lock.Save(); err != nil {
		t.Fatal(err)
	}
	found(t, path, lockfile.FileName, want)

	manifest := "../stable/go/go.jsonnet"
	source, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`'(kubeless/[a-z-]+:[0-9.]+)(@sha256:[0-9a-f]+)?'`)
	want = nil
	for _, match := range pinned.FindAllStringSubmatch(string(source), -1) {
		want = append(want, match[1]+"@"+digest)
	}
	if len(want) < 4 {
		t.Fatalf("%s names %d images", manifest, len(want))
	}
	path = filepath.Join(t.TempDir(), "go.jsonnet")
	if err := os.WriteFile(path, pinned.ReplaceAll(source, []byte("'$1@"+digest+"'")), 0o644); err != nil {
		t.Fatal(err)
	}
	found(t, path, "stable/go/go.jsonnet", want)
}

// found wants the managers for a file of this name to find these images in it.
func found(t *testing.T, path, name string, want []string) {
	t.Helper()
	var settings struct {
		CustomManagers []struct{ ManagerFilePatterns, MatchStrings []string }
	}
	source, err := os.ReadFile("../renovate.json")
	if err == nil {
		err = json.Unmarshal(source, &settings)
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, manager := range settings.CustomManagers {
		if !slices.ContainsFunc(manager.ManagerFilePatterns, func(p string) bool { return regexp.MustCompile(strings.Trim(p, "/")).MatchString(name) }) {
			continue
		}
		for _, match := range manager.MatchStrings {
			image := regexp.MustCompile(match)
			for _, parts := range image.FindAllStringSubmatch(string(content), -1) {
				part := func(group string) string { return parts[image.SubexpIndex(group)] }
				images = append(images, part("depName")+":"+part("currentValue")+"@"+part("currentDigest"))
			}
		}
	}
	slices.Sort(images)
	slices.Sort(want)
	if !slices.Equal(images, want) {
		t.Errorf("Renovate finds in %s\n%q, want\n%q", name, images, want)
	}
}
