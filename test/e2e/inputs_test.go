//go:build e2e

package e2e

import (
	"archive/tar"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// insecure is a reference to a registry that speaks plain HTTP.
func insecure(t *testing.T, ref string) name.Reference {
	t.Helper()
	parsed, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// A fileAt is a file, folder or link of an image.
type fileAt struct {
	*tar.Header
	content string
}

// filesAt are the files and folders of the image HOST/path:tag, by path.
func filesAt(t *testing.T, ref string) map[string]*fileAt {
	t.Helper()
	image, err := remote.Image(insecure(t, ref))
	if err != nil {
		t.Fatal(err)
	}
	content := mutate.Extract(image)
	defer content.Close()
	files := map[string]*fileAt{}
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.Trim(header.Name, "/")] = &fileAt{header, string(content)}
	}
}

// tagsAt are the tags of a repository, HOST/path.
func tagsAt(t *testing.T, repository string) []string {
	t.Helper()
	host, path, _ := strings.Cut(repository, "/")
	response, err := http.Get("http://" + host + "/v2/" + path + "/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list struct{ Tags []string }
	if response.StatusCode == http.StatusNotFound {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list.Tags
}

// A made is what a report says of a target's image.
type made struct{ Name, Status, Fingerprint, Digest string }

// released releases a tree and gives its images by the targets' names.
func released(t *testing.T, root string, args ...string) map[string]made {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	harness.Want(t, 0, root, append([]string{"build", "--push", "--report", report}, args...)...)
	var read struct{ Targets []made }
	content, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatal(err)
	}
	images := map[string]made{}
	for _, m := range read.Targets {
		images[m.Name] = m
	}
	return images
}

// explained wants explain to print a line.
func explained(t *testing.T, root, dest, line string) {
	t.Helper()
	r := harness.Want(t, 0, root, "explain", "--registry", dest, "--mirror", "docker.io="+dest)
	if !strings.Contains(r.Stdout, line) {
		t.Errorf("explain lacks %q:\n%s", line, r.Stdout)
	}
}

// The umask under which a repository was cloned shows neither in fingerprints
// nor in images.
func TestUmaskOfClone(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			harness.Write(t, filepath.Join(root, "base/app/main"), "x\n")
			harness.Write(t, filepath.Join(root, "base/app/tool"), "y\n")
			if err := os.Chmod(filepath.Join(root, "base/app/tool"), 0o755); err != nil {
				t.Fatal(err)
			}
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nCOPY app /app\n")
			clone(t, root) // commits it
			first := map[string]made{}
			for _, umask := range []string{"022", "002", "077"} {
				cloned := filepath.Join(t.TempDir(), "clone")
				out, err := exec.Command("sh", "-c", fmt.Sprintf("umask %s && git clone -q '%s' '%s'", umask, root, cloned)).CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				own := dest + "/umask" + umask
				images := released(t, cloned, "--builder", builder, "--registry", own, "base", "web:2")
				files := filesAt(t, own+"/acme/base")
				for path, mode := range map[string]int64{"app": 0o755, "app/main": 0o644, "app/tool": 0o755, "bin/sh": 0o755} {
					if h := files[path]; h == nil || h.Mode&0o7777 != mode || h.Uid != 0 {
						t.Errorf("umask %s: %s is %+v, want mode %o of root", umask, path, h, mode)
					}
				}
				if umask == "022" {
					first = images
				}
				for name, m := range images {
					if m.Fingerprint != first[name].Fingerprint || m.Digest != first[name].Digest {
						t.Errorf("umask %s: %s is %+v, and %+v under 022", umask, name, m, first[name])
					}
				}
			}
		})
	}
}

// A file that changes after it was hashed, and before the engine reads it, is
// not released under the fingerprint of what was there before.
func TestEditedWhileBuilding(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	edits := map[string]func(t *testing.T, app string){
		"edited": func(t *testing.T, app string) {
			// Neither its size nor its time tells.
			before, err := os.Stat(filepath.Join(app, "a"))
			if err != nil {
				t.Fatal(err)
			}
			harness.Write(t, filepath.Join(app, "a"), "2\n")
			if err := os.Chtimes(filepath.Join(app, "a"), before.ModTime(), before.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
		"removed": func(t *testing.T, app string) {
			if err := os.Remove(filepath.Join(app, "a")); err != nil {
				t.Fatal(err)
			}
		},
		"executable": func(t *testing.T, app string) {
			if err := os.Chmod(filepath.Join(app, "a"), 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"linked": func(t *testing.T, app string) {
			if err := os.Remove(filepath.Join(app, "l")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("elsewhere", filepath.Join(app, "l")); err != nil {
				t.Fatal(err)
			}
		},
		"added": func(t *testing.T, app string) { harness.Write(t, filepath.Join(app, "new"), "new\n") },
	}
	for _, builder := range harness.Builders() {
		for what, edit := range edits {
			t.Run(builder+"/"+what, func(t *testing.T) {
				dest := destinationOf(host, builder) + "/" + what
				root := small(t)
				app := filepath.Join(root, "stable/web/app")
				harness.Write(t, filepath.Join(app, "a"), "1\n")
				if err := os.Symlink("a", filepath.Join(app, "l")); err != nil {
					t.Fatal(err)
				}
				// Another parent in each run, so that no engine has it yet.
				harness.Write(t, filepath.Join(root, "base/Dockerfile"), fmt.Sprintf("FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo %s > /what; echo now sleeping; sleep 3\"]\n", rand.Text()))
				harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), "FROM acme/base\nCOPY app /app\n")
				args := []string{"build", "--push", "--builder", builder, "--registry", dest, "web:1"}
				cmd, stderr := start(t, root, args...)
				waitFor(t, stderr, "now sleeping\n")
				edit(t, app)
				_ = cmd.Wait() // the exit code is looked at
				if cmd.ProcessState.ExitCode() == 0 {
					// It may still be the image of what was hashed.
					hasApp(t, dest+"/acme/web:1", "-rw-r--r-- 1\n", "a", false)
				} else if tags := tagsAt(t, dest+"/acme/web"); len(tags) > 0 {
					t.Errorf("the build failed, and there are the tags %q", tags)
				}
				explained(t, root, dest, "web:1: stale\n")

				harness.Want(t, 0, root, args...)
				explained(t, root, dest, "web:1: fresh: ")
				now := map[string]string{"edited": "-rw-r--r-- 2\n", "removed": "", "executable": "-rwxr-xr-x 1\n"}
				a, changed := now[what]
				if !changed {
					a = "-rw-r--r-- 1\n"
				}
				hasApp(t, dest+"/acme/web:1", a, map[bool]string{true: "elsewhere", false: "a"}[what == "linked"], what == "added")
			})
		}
	}
}

// hasApp wants the folder app of an image to hold the file a, by its mode and
// content, if that is not empty, the link l, and maybe a file more.
func hasApp(t *testing.T, ref, a, l string, more bool) {
	t.Helper()
	files := filesAt(t, ref)
	var got string
	if f := files["app/a"]; f != nil {
		got = f.FileInfo().Mode().String() + " " + f.content
	}
	if got != a || files["app/l"] == nil || files["app/l"].Linkname != l || (files["app/new"] != nil) != more {
		t.Errorf("%s has app/a %q and %v, want %q, the link to %s, another file: %t", ref, got, slices.Sorted(maps.Keys(files)), a, l, more)
	}
}

// A context that is a link is the folder that it leads to.
func TestLinkedContext(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			harness.Write(t, filepath.Join(root, "shared/app/a"), "1\n")
			harness.Write(t, filepath.Join(root, "shared/other"), "1\n")
			if err := os.Symlink("../../shared", filepath.Join(root, "stable/web/linked")); err != nil {
				t.Fatal(err)
			}
			manifest := filepath.Join(root, "stable/web/web.jsonnet")
			harness.Write(t, manifest, strings.Replace(harness.Read(t, manifest), "image: images[v]", "image: images[v], build:: { context: 'linked', dockerfile: 'Dockerfile.' + v }", 1))
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), "FROM scratch\nCOPY . /\n")
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM scratch\nCOPY other /\n")
			released(t, root, "--builder", builder, "--registry", dest)
			explained(t, root, dest, "web:1: fresh: ")
			if files := filesAt(t, dest+"/acme/web:1"); files["app/a"] == nil {
				t.Errorf("files %v", files)
			}
			harness.Write(t, filepath.Join(root, "shared/app/a"), "2\n")
			explained(t, root, dest, "web:1: stale\n    stable/web/linked/app/a changed\n")
			explained(t, root, dest, "web:2: fresh: ")
			harness.Write(t, filepath.Join(root, "shared/app/a"), "1\n")
			harness.Write(t, filepath.Join(root, "shared/app/b"), "new\n")
			explained(t, root, dest, "web:1: stale\n    stable/web/linked/app/b is new\n")
			explained(t, root, dest, "web:2: fresh: ")
		})
	}
}

// The ignore file beside a Dockerfile counts, and that of the context does not
// then, wherever the context is.
func TestIgnoreFileBesideDockerfile(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			for _, name := range []string{"common/keep", "common/a.tmp", "common/a.bak"} {
				harness.Write(t, filepath.Join(root, name), "1\n")
			}
			manifest := filepath.Join(root, "stable/web/web.jsonnet")
			harness.Write(t, manifest, strings.Replace(harness.Read(t, manifest), "image: images[v]", "image: images[v], build:: { context: '../..', dockerfile: 'Dockerfile.' + v }", 1))
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), "FROM scratch\nCOPY common /common\n")
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1.dockerignore"), "**\n!common\ncommon/*.tmp\n")
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM scratch\nCOPY common /common\n")
			harness.Write(t, filepath.Join(root, ".dockerignore"), "common/*.bak\n")
			released(t, root, "--builder", builder, "--registry", dest, "web:1", "web:2")
			for tag, hidden := range map[string]string{"1": "common/a.tmp", "2": "common/a.bak"} {
				files := filesAt(t, dest+"/acme/web:"+tag)
				for _, name := range []string{"common/keep", "common/a.tmp", "common/a.bak"} {
					if (files[name] == nil) != (name == hidden) {
						t.Errorf("web:%s: %s is %v", tag, name, files[name])
					}
				}
			}
			harness.Write(t, filepath.Join(root, "common/a.tmp"), "2\n")
			explained(t, root, dest, "web:1: fresh: ")
			explained(t, root, dest, "web:2: stale\n    common/a.tmp changed\n")
			harness.Write(t, filepath.Join(root, "common/a.tmp"), "1\n")
			harness.Write(t, filepath.Join(root, "common/a.bak"), "2\n")
			explained(t, root, dest, "web:1: stale\n    common/a.bak changed\n")
			explained(t, root, dest, "web:2: fresh: ")
		})
	}
}
