//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// The platform of an image is one of its inputs, also where it is the engine's
// own and nobody names it.
func TestPlatformIsAnInput(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			own := "linux/" + runtime.GOARCH
			foreign := map[string]string{"amd64": "linux/arm64"}[runtime.GOARCH]
			if foreign == "" {
				foreign = "linux/amd64"
			}
			first := released(t, root, "--builder", builder, "--registry", dest, "web:2")["web:2"]
			named := released(t, root, "--builder", builder, "--registry", dest, "--platform", own, "web:2")["web:2"]
			if named.Status != "fresh" || named.Fingerprint != first.Fingerprint {
				t.Errorf("with the platform %s named it is %+v, without %+v", own, named, first)
			}
			r := harness.Want(t, 0, root, "explain", "--builder", builder, "--registry", dest, "--platform", foreign, "web:2")
			if !strings.Contains(r.Stdout, "web:2: stale\n") || !strings.Contains(r.Stdout, own) || !strings.Contains(r.Stdout, foreign) {
				t.Errorf("explain for %s:\n%s", foreign, r.Stdout)
			}
			if label := labelAt(t, dest+"/acme/web:2", "dev.rtbuild.inputs"); !strings.Contains(label, own) {
				t.Errorf("the label does not tell the platform: %s", label)
			}
			if onePlatform(t, builder) {
				return
			}
			other := released(t, root, "--builder", builder, "--registry", dest, "--platform", foreign, "web:2")["web:2"]
			if other.Status != "built" || other.Fingerprint == first.Fingerprint || other.Digest == first.Digest {
				t.Errorf("for %s it is %+v, for %s %+v", foreign, other, own, first)
			}
		})
	}
}

// labelAt is a label of the image HOST/path:tag.
func labelAt(t *testing.T, ref, label string) string {
	t.Helper()
	image, err := remote.Image(insecure(t, ref))
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.Config.Labels[label]
}

// The index of a base image may hold indexes: what counts is the image of the
// platform in them.
func TestBaseOfNestedIndexes(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nENV FROM_BASE=app\nONBUILD COPY onbuild /\n")
			released(t, root, "--builder", builder, "--registry", dest, "base")
			image, err := remote.Image(insecure(t, dest+"/acme/base"))
			if err != nil {
				t.Fatal(err)
			}
			inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
			outer := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: inner})
			if err := remote.WriteIndex(insecure(t, dest+"/acme/nested:1"), outer); err != nil {
				t.Fatal(err)
			}

			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM acme/nested:1\nCOPY $FROM_BASE /copied\n")
			for _, file := range []string{"app", "onbuild", "other"} {
				harness.Write(t, filepath.Join(root, "stable/web", file), "1\n")
			}
			released(t, root, "--builder", builder, "--registry", dest, "--mirror", "docker.io="+dest, "web:2")
			explained(t, root, dest, "web:2: fresh: ")
			if files := filesAt(t, dest+"/acme/web:2"); files["copied"] == nil || files["onbuild"] == nil || files["bin/sh"] == nil {
				t.Errorf("files %v", files)
			}
			for file, line := range map[string]string{"app": "web:2: stale\n    stable/web/app changed\n", "onbuild": "web:2: stale\n    stable/web/onbuild changed\n", "other": "web:2: fresh: "} {
				harness.Write(t, filepath.Join(root, "stable/web", file), "2\n")
				explained(t, root, dest, line)
				harness.Write(t, filepath.Join(root, "stable/web", file), "1\n")
			}
		})
	}
}

// The image that "# syntax=" names is one that an image is made with: it is
// locked, and taken from the mirror.
func TestSyntaxImage(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	frontend := compileFrontend(t)
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			program, err := os.ReadFile(frontend)
			if err != nil {
				t.Fatal(err)
			}
			harness.Write(t, filepath.Join(root, "base/dockerfile-frontend"), string(program))
			if err := os.Chmod(filepath.Join(root, "base/dockerfile-frontend"), 0o755); err != nil {
				t.Fatal(err)
			}
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY dockerfile-frontend /bin/\nENTRYPOINT [\"/bin/dockerfile-frontend\"]\n")
			released(t, root, "--builder", builder, "--registry", dest, "base")
			image, err := remote.Image(insecure(t, dest+"/acme/base"))
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.Write(insecure(t, dest+"/acme/syntax:1"), image); err != nil {
				t.Fatal(err)
			}

			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "# syntax=acme/syntax:1\nFROM scratch\nCOPY app /\n")
			harness.Write(t, filepath.Join(root, "stable/web/app"), "1\n")
			released(t, root, "--builder", builder, "--registry", dest, "--mirror", "docker.io="+dest, "web:2")
			if files := filesAt(t, dest+"/acme/web:2"); files["app"] == nil {
				t.Errorf("files %v", files)
			}
			digest, err := image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if lock := harness.Read(t, filepath.Join(root, "rtbuild.lock")); !strings.Contains(lock, "docker.io/acme/syntax:1: "+digest.String()) {
				t.Errorf("the lock file:\n%s", lock)
			}
			explained(t, root, dest, "web:2: fresh: ")
			harness.Write(t, filepath.Join(root, "stable/web/app"), "2\n")
			explained(t, root, dest, "web:2: stale\n")
		})
	}
}

// compileFrontend compiles BuildKit's Dockerfile frontend, as an image holds it.
func compileFrontend(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dockerfile-frontend")
	cmd := exec.Command("go", "build", "-o", out, "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return out
}
