//go:build e2e

package runtime

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

const volumePath = "/kubeless"

// A function is what a user deploys.
type function struct {
	// files go into the volume, by name.
	files map[string]string
	// handler is "module.function".
	handler string
	// deps is the dependency file's content; without it nothing is installed.
	deps string
	// dockerArgs are added to `docker run` of the runtime phase.
	dockerArgs []string
}

// versions are the versions of a runtime in the repository's manifest.
func versions(t *testing.T, id string) (manifest.Runtime, []manifest.Version) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range tree.Runtimes {
		if r.ID == id {
			return r, r.Versions
		}
	}
	t.Fatalf("the manifest has no runtime %q", id)
	return manifest.Runtime{}, nil
}

// phase is a version's image and settings for one phase.
func phase(t *testing.T, v manifest.Version, p manifest.Phase) manifest.Image {
	t.Helper()
	for _, image := range v.Images {
		if image.Phase == p {
			return image
		}
	}
	t.Fatalf("version %s has no phase %s", v.Version, p)
	return manifest.Image{}
}

// reference is the image to run. RTBUILD_E2E_IMAGE_PREFIX relocates those of
// the manifest: "127.0.0.1:5000/" for "kubeless/python:3.11" in a registry
// there.
func reference(image manifest.Image) string {
	return os.Getenv("RTBUILD_E2E_IMAGE_PREFIX") + image.Ref.WithoutDigest()
}

// deploy runs the phases of a version for a function as the controller and
// the kubelet do, and returns the container of the runtime phase.
func deploy(t *testing.T, r manifest.Runtime, v manifest.Version, f function) string {
	t.Helper()
	volume := strings.TrimSpace(docker(t, nil, "volume", "create"))
	t.Cleanup(func() { cleanup(t, "volume", "rm", "-f", volume) })
	files := maps.Clone(f.files)
	files[r.DepName] = f.deps
	prepare(t, volume, reference(phase(t, v, manifest.RuntimePhase)), files)
	if f.deps != "" {
		install(t, volume, r, phase(t, v, manifest.Installation), f.deps)
	}
	return start(t, volume, r, v, f)
}

// prepare fills a volume, which belongs to group 1000 as fsGroup has it.
func prepare(t *testing.T, volume, image string, files map[string]string) {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	docker(t, &archive, "run", "--rm", "-i", "--user", "0", "-v", volume+":"+volumePath, "--entrypoint", "sh", image,
		"-c", "chgrp 1000 /kubeless && chmod 2777 /kubeless && tar -x -C /kubeless")
}

// install runs the installation phase: the checksum of the dependency file,
// then the manifest's command.
func install(t *testing.T, volume string, r manifest.Runtime, image manifest.Image, deps string) {
	t.Helper()
	depsFile := volumePath + "/" + r.DepName
	env := []variable{{"KUBELESS_INSTALL_VOLUME", volumePath}, {"KUBELESS_DEPS_FILE", depsFile}}
	env = withImageEnv(env, image)
	script := fmt.Sprintf("echo '%x  %s' > /tmp/deps.sha256 && sha256sum -c /tmp/deps.sha256 && %s",
		sha256.Sum256([]byte(deps)), depsFile, expand(image.Command, env))
	args := append([]string{"run", "--rm", "-w", volumePath}, asFunction(volume)...)
	args = append(args, dockerEnv(env)...)
	output := docker(t, nil, append(args, "--entrypoint", "sh", reference(image), "-c", script)...)
	if strings.Contains(output, "WARNING") {
		t.Errorf("the installation warns:\n%s", output)
	}
}

func start(t *testing.T, volume string, r manifest.Runtime, v manifest.Version, f function) string {
	t.Helper()
	image := phase(t, v, manifest.RuntimePhase)
	module, name, _ := strings.Cut(f.handler, ".")
	env := withImageEnv([]variable{
		{"FUNC_HANDLER", name}, {"MOD_NAME", module}, {"FUNC_TIMEOUT", "180"}, {"FUNC_RUNTIME", r.ID + v.Version},
		{"FUNC_MEMORY_LIMIT", "0"}, {"FUNC_PORT", "8080"}, {"KUBELESS_INSTALL_VOLUME", volumePath},
	}, image)
	args := append([]string{"run", "-d", "-p", "127.0.0.1::8080"}, asFunction(volume)...)
	args = append(append(args, f.dockerArgs...), dockerEnv(env)...)
	container := strings.TrimSpace(docker(t, nil, append(args, reference(image))...))
	t.Cleanup(func() { cleanup(t, "rm", "-f", "-v", container) })
	return container
}

// asFunction are the user and the volume of a function's containers.
func asFunction(volume string) []string {
	return []string{"--user", "1000", "--group-add", "1000", "-v", volume + ":" + volumePath}
}

// A variable of a container's environment.
type variable struct{ name, value string }

// withImageEnv adds the image's environment, expanded with what precedes it.
func withImageEnv(env []variable, image manifest.Image) []variable {
	preceding := slices.Clone(env)
	for _, name := range slices.Sorted(maps.Keys(image.Env)) {
		env = append(env, variable{name, expand(image.Env[name], preceding)})
	}
	return env
}

func dockerEnv(env []variable) []string {
	var args []string
	for _, v := range env {
		args = append(args, "-e", v.name+"="+v.value)
	}
	return args
}

var variableReference = regexp.MustCompile(`\$\((\w+)\)`)

// expand replaces $(NAME) as the kubelet does: unknown names stay.
func expand(text string, env []variable) string {
	return variableReference.ReplaceAllStringFunc(text, func(ref string) string {
		for _, v := range env {
			if "$("+v.name+")" == ref {
				return v.value
			}
		}
		return ref
	})
}

// ready waits until a container answers its health check, and returns its URL.
func ready(t *testing.T, container string) string {
	t.Helper()
	address := strings.TrimSpace(docker(t, nil, "port", container, "8080/tcp"))
	url := "http://" + strings.Fields(address)[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return url
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the function did not become ready: %v\n%s", err, docker(t, nil, "logs", container))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// docker runs the docker command and returns what it printed, both streams.
func docker(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "docker", args...)
	command.Stdin = stdin
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// cleanup is docker for after the test, when its context has ended.
func cleanup(t *testing.T, args ...string) {
	if output, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}
