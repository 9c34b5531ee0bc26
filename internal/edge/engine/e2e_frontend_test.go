//go:build e2e && linux

package engine

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Dockerfile whose syntax an image reads is built by that image, BuildKit's
// frontend of today, which takes it and the bases from where the request says:
// their own names lead nowhere.
func testFrontendImage(t *testing.T, b bench) {
	program := filepath.Join(t.TempDir(), "frontend")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compiling the frontend: %v\n%s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "frontend"), content, 0o755); err != nil {
		t.Fatal(err)
	}
	syntax, _ := b.pushed(t, b.requestIn(t, dir, "syntax", map[string]string{"Dockerfile": "FROM scratch\nCOPY frontend /frontend\nENTRYPOINT [\"/frontend\"]\nLABEL moby.buildkit.frontend.caps=moby.buildkit.frontend.contexts\n"}))
	text := fresh()
	base, _ := b.pushed(t, b.request(t, "base", map[string]string{"Dockerfile": "FROM scratch\nCOPY mark /mark\n", "mark": text}))
	req := b.request(t, "by-syntax", map[string]string{
		"Dockerfile":    "# syntax=registry.invalid/syntax:1\nFROM registry.invalid/base:1\nCOPY kept hidden* /\n",
		"kept":          text,
		"hidden":        text,
		".dockerignore": "hidden\n",
	})
	req.Frontend = "registry.invalid/syntax:1"
	req.Images = map[string]string{
		req.Frontend:              b.registry + "/test/syntax@" + syntax.Digest,
		"registry.invalid/base:1": b.registry + "/test/base@" + base.Digest,
	}
	_, image := b.pushed(t, req)
	if _, hidden := image.files["/hidden"]; image.files["/mark"] != text || image.files["/kept"] != text || hidden {
		t.Errorf("the image holds %q", image.files)
	}
	req.Frontend = ""
	if _, err := b.builder.Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "a frontend that the request does not have") {
		t.Errorf("without the frontend: %v", err)
	}
}

// BuildKit's newest syntax works on every engine, because its frontend does not
// run there; what an older engine cannot do is refused, and not left out.
func testNewestSyntax(t *testing.T, b bench) {
	text := fresh()
	req := b.request(t, "syntax-of-today", map[string]string{
		"Dockerfile": `FROM scratch AS bin-amd64
FROM scratch AS bin-arm64
FROM bin-${TARGETARCH}
COPY src /src
COPY <<END /inline
` + text + `
END
COPY --link --chmod=640 src/one.txt /linked
`,
		"src/one.txt": text, "src/a/b/two.txt": text, "src/three.go": text,
	})
	if platform := b.builder.Capabilities().Platform; platform != "linux/amd64" && platform != "linux/arm64" {
		t.Skip("no stage for this machine's platform")
	}
	req.Platforms = []string{b.builder.Capabilities().Platform}
	_, image := b.pushed(t, req)
	want := map[string]string{"/src/one.txt": text, "/src/a/b/two.txt": text, "/src/three.go": text, "/inline": text + "\n", "/linked": text}
	for path, content := range want {
		if image.files[path] != content {
			t.Errorf("%s = %q, want %q", path, image.files[path], content)
		}
	}
	if len(image.files) != len(want) {
		t.Errorf("the image holds %q", image.files)
	}
	for copies, want := range map[string]string{
		"--exclude=*.go src /":             "[/a/b/two.txt /one.txt]",
		"--parents src/**/*.txt /":         "[/src/a/b/two.txt /src/one.txt]",
		"--chmod=u=rwX,go=r src/one.txt /": "[/one.txt]",
	} {
		req.Dockerfile = []byte("FROM scratch\nCOPY " + copies + "\n")
		req.Push = true
		_, err := b.builder.Build(t.Context(), req)
		if strings.Contains(b.builder.Capabilities().Engine, " 20.10") {
			flag, _, _ := strings.Cut(copies, "=")
			if flag, _, _ = strings.Cut(flag, " "); err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), "cannot do what the Dockerfile asks for") || !strings.Contains(err.Error(), "embedded") {
				t.Errorf("%s: error %v", copies, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(slices.Sorted(maps.Keys(pull(t, req.References[0]).files))); got != want {
			t.Errorf("%s: the image holds %s, want %s", copies, got, want)
		}
	}
}
