//go:build e2e

package runtime

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// TestPythonDependencies installs a source distribution, which is built, and
// what the init image has for itself: it is installed all the same, for the
// runtime image does not have it.
func TestPythonDependencies(t *testing.T) {
	root, tree := ownTree(t)
	containers, err := docker.Open(t.Context(), docker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { containers.Close() })
	for _, r := range tree.Runtimes {
		if r.ID != "python" {
			continue
		}
		for _, v := range r.Versions {
			t.Run(v.Version, func(t *testing.T) {
				subject := contract.NewSubject(root, r, v, func(i manifest.Image) []string { return []string{reference(i)} })
				subject.Functions = "testdata/python"
				testInstalled(t, containers, subject)
			})
		}
	}
}

func testInstalled(t *testing.T, containers *docker.Engine, subject contract.Subject) {
	deployment, err := contract.Deploy(t.Context(), containers, subject, "installed", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := deployment.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	})
	server, err := containers.Start(t.Context(), deployment.Container())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	body := firstAnswer(t, server.URL())
	var files []string
	if err := json.Unmarshal([]byte(body), &files); err != nil || len(files) != 3 {
		t.Fatalf("answered %s", body)
	}
	for _, file := range files {
		if !strings.HasPrefix(file, "/kubeless/lib/") {
			t.Errorf("imported %s, which is not in the volume", file)
		}
	}
}

// firstAnswer calls until there is a 200.
func firstAnswer(t *testing.T, url string) string {
	t.Helper()
	var last string
	for range 600 {
		response, err := http.Get(url)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
			last = response.Status + " " + string(body)
			if err == nil && response.StatusCode == http.StatusOK {
				return string(body)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("there is no good answer in a minute, but %s", last)
	return ""
}

// reference is the image to run.
func reference(image manifest.Image) string {
	return os.Getenv("RTBUILD_E2E_IMAGE_PREFIX") + image.Ref.WithoutDigest()
}
