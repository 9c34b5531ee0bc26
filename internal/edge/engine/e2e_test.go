//go:build e2e && linux

package engine

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/rtbuild/rtbuild/internal/harness"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/dockerfile"
)

// TestEngines runs the same tests on every engine of RTBUILD_E2E_BUILDERS.
func TestEngines(t *testing.T) {
	tests := []struct {
		name string
		run  func(*testing.T, bench)
	}{
		{"push", testPush},
		{"parent", testParent},
		{"parents in parallel", testParallelParents},
		{"failing step", testFailingStep},
		{"failing step in common", testCommonFailingStep},
		{"faults of the Dockerfile", testDockerfileFaults},
		{"faults that are not the Dockerfile's", testEngineFaults},
		{"contexts do not mix", testContextsDoNotMix},
		{"contexts mix without a key", testContextsMixWithoutKey},
		{"cancel", testCancel},
		{"args, stage and labels", testArgsStageLabels},
		{"ignore files", testIgnoreFiles},
		{"changed file", testChangedFile},
		{"frontend in an image", testFrontendImage},
		{"newest syntax", testNewestSyntax},
		{"platforms", testPlatforms},
		{"login", testLogin},
		{"secrets", testSecrets},
		{"secrets of a failing step", testSecretsOfFailingStep},
		{"missing secret", testMissingSecret},
		{"SSH", testSSH},
		{"push to a registry that recovers", testPushRecovers},
		{"push to a registry that does not", testPushFails},
	}
	tool := buildTool(t)
	registry := harness.Registry(t, harness.RegistryConfig{})
	private := "registry.invalid/" + strings.ToLower(fresh()) + "/"
	for _, choice := range harness.Builders() {
		t.Run(choice, func(t *testing.T) {
			b := bench{choice: choice, builder: openBuilder(t, choice), registry: registry, private: private, tool: tool}
			t.Cleanup(func() { b.sweep(t, b.private, b.registry+"/test/") })
			t.Logf("engine: %+v", b.builder.Capabilities())
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, b) })
			}
		})
	}
}

// fresh is text that no build before had, so that no cache holds its layers.
func fresh() string { return rand.Text() }

// A pushed image has the digest that the registry serves, under all of its
// references; building it again runs nothing and changes nothing.
func testPush(t *testing.T, b bench) {
	req := b.request(t, "push", map[string]string{
		"Dockerfile": "FROM scratch\nCOPY tool /tool\nRUN [\"/tool\", \"write\", \"/mark\", \"" + fresh() + "\"]\n",
	})
	req.References = append(req.References, b.registry+"/test/push:2")
	first, image := b.pushed(t, req)
	if first.Digest == "" || first.Digest != image.digest {
		t.Errorf("digest = %q, the registry has %q", first.Digest, image.digest)
	}
	if second := harness.DigestAt(t, req.References[1]); second != first.Digest {
		t.Errorf("the second reference has %q, want %q", second, first.Digest)
	}
	if first.ImageID == "" || first.ImageID == first.Digest {
		t.Errorf("image ID = %q with digest %q", first.ImageID, first.Digest)
	}
	if !reflect.DeepEqual(first.References, req.References) {
		t.Errorf("references = %q, want %q", first.References, req.References)
	}
	if first.Cached {
		t.Error("a first build says that it was cached")
	}
	again, _ := b.pushed(t, req)
	if !again.Cached {
		t.Error("a second build says that it was not cached")
	}
	if again.Digest != first.Digest {
		t.Errorf("building again changed the digest from %s to %s", first.Digest, again.Digest)
	}
}

// A retained image is the parent of a later build though no registry has it,
// also where the Dockerfile calls it by another name than its build did.
func testParent(t *testing.T, b bench) {
	text := fresh()
	for _, called := range []string{b.private + "parent:1", b.private + "canonical"} {
		parent := b.request(t, "parent", map[string]string{
			"Dockerfile": "FROM scratch\nCOPY mark /mark\nENV PARENT=" + text + "\n",
			"mark":       text,
		})
		parent.References = []string{b.private + "parent:1"}
		parent.Retain = true
		child := b.request(t, "child", map[string]string{
			"Dockerfile": "FROM " + called + "\nCOPY tool /tool\nRUN [\"/tool\", \"env\", \"/seen\", \"PARENT\"]\n",
		})
		use, err := dockerfile.NewUse(called)
		if err != nil {
			t.Fatal(err)
		}
		child.Parents = map[string]build.Result{use.Full: b.mustBuild(t, parent)}
		_, image := b.pushed(t, child)
		if image.files["/mark"] != text || image.files["/seen"] != text {
			t.Errorf("FROM %s: /mark = %q, /seen = %q, want %q", called, image.files["/mark"], image.files["/seen"], text)
		}
	}
}

// Images with common layers can be retained at the same time.
func testParallelParents(t *testing.T, b bench) {
	const count = 6
	text := fresh()
	results := make([]build.Result, count)
	var group errgroup.Group
	for i := range count {
		req := b.request(t, fmt.Sprintf("common-%d", i), map[string]string{
			"Dockerfile": fmt.Sprintf("FROM scratch\nCOPY tool /tool\nRUN [\"/tool\", \"write\", \"/mark\", %q]\nENV N=%d\n", text, i),
		})
		req.References = []string{fmt.Sprintf("%scommon-%d:1", b.private, i)}
		req.Retain = true
		group.Go(func() error {
			var err error
			results[i], err = b.builder.Build(t.Context(), req)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	lines.WriteString("FROM scratch\n")
	parents := map[string]build.Result{}
	for i, result := range results {
		ref := fmt.Sprintf("%scommon-%d:1", b.private, i)
		fmt.Fprintf(&lines, "COPY --from=%s /mark /mark-%d\n", ref, i)
		parents[ref] = result
	}
	child := b.request(t, "of-all", map[string]string{"Dockerfile": lines.String()})
	child.Parents = parents
	_, image := b.pushed(t, child)
	for i := range count {
		if got := image.files[fmt.Sprintf("/mark-%d", i)]; got != text {
			t.Errorf("/mark-%d = %q, want %q", i, got, text)
		}
	}
}

// alike makes requests whose contexts differ in content only: the same names,
// sizes and, as they are sent, modification times.
func (b bench) alike(t *testing.T, count int) (reqs []build.Request, texts []string) {
	t.Helper()
	for i := range count {
		text := fresh()
		req := b.request(t, fmt.Sprintf("alike-%d", i), map[string]string{
			"Dockerfile": "FROM scratch\nCOPY mark /mark\nLABEL mark=" + text + "\n",
			"mark":       text,
		})
		reqs, texts = append(reqs, req), append(texts, text)
	}
	return reqs, texts
}

// Engines mirror each context and bring the mirror up to date by size and
// modification time. Contexts that are alike in both still build their own
// content, because each has a mirror of its own.
func testContextsDoNotMix(t *testing.T, b bench) {
	reqs, texts := b.alike(t, 12)
	var group errgroup.Group
	for _, req := range reqs {
		req.Push = true
		group.Go(func() error {
			_, err := b.builder.Build(t.Context(), req)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, req := range reqs {
		image := pull(t, req.References[0])
		if got := image.files["/mark"]; got != texts[i] {
			t.Errorf("%s was built with the context of another: /mark = %q, want %q", req.Name, got, texts[i])
		}
		if got := image.config.Config.Labels["mark"]; got != texts[i] {
			t.Errorf("%s was built with the Dockerfile of another: label = %q, want %q", req.Name, got, texts[i])
		}
	}
}

// The counter-proof: the same builds, one after the other, with no key. The
// second gets the files of the first, or those that an earlier run of this
// test left in the engine's one mirror. Builds that others run without a key
// at this moment bring the mirror up to date between the two, or have it
// locked, hence several attempts.
func testContextsMixWithoutKey(t *testing.T, b bench) {
	for range 10 {
		reqs, texts := b.alike(t, 2)
		for _, req := range reqs {
			b.pushWithoutKey(t, req)
		}
		if got := pull(t, reqs[1].References[0]).files["/mark"]; got != texts[1] {
			return
		}
	}
	t.Error("the second build always has its own files: the engine no longer mixes contexts, and keys are needless")
}

func (b bench) pushWithoutKey(t *testing.T, req build.Request) {
	t.Helper()
	req.Push = true
	opt, err := solveOpt(req, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	opt.SharedKey = ""
	if err := b.builder.engine.store.prepare(t.Context(), req, &opt); err != nil {
		t.Fatal(err)
	}
	show := b.builder.display.attach(req.Name)
	response, _, err := b.builder.solve(t.Context(), req, opt, newMask(nil), show)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.builder.engine.store.finish(t.Context(), req, response, show); err != nil {
		t.Fatal(err)
	}
}

func testArgsStageLabels(t *testing.T, b bench) {
	text := fresh()
	req := b.request(t, "args", map[string]string{
		"Dockerfile": "FROM scratch AS first\nARG WHO\nCOPY tool /tool\nRUN [\"/tool\", \"env\", \"/who\", \"WHO\"]\n" +
			"FROM first AS last\nRUN [\"/tool\", \"write\", \"/last\", \"x\"]\n",
	})
	req.Args = map[string]string{"WHO": text}
	req.Stage = "first"
	req.Labels = map[string]string{"org.example.label": "a value, with = and commas"}
	_, image := b.pushed(t, req)
	if got := image.files["/who"]; got != text {
		t.Errorf("/who = %q, want the build argument %q", got, text)
	}
	if _, built := image.files["/last"]; built {
		t.Error("the image is that of the last stage, not of the one asked for")
	}
	if got := image.config.Config.Labels; !reflect.DeepEqual(got, req.Labels) {
		t.Errorf("labels = %v, want %v", got, req.Labels)
	}
}

// The Dockerfile's own ignore file wins over the context's. The Dockerfile
// itself comes from memory: what the file on disk says does not matter.
func testIgnoreFiles(t *testing.T, b bench) {
	files := map[string]string{
		"Dockerfile":    "not even a Dockerfile",
		"sub/kept":      fresh(),
		"general":       "x",
		"special":       "x",
		".dockerignore": "general\n",
	}
	const dockerfile = "FROM scratch\nCOPY . /\n"
	req := b.request(t, "ignore", files)
	req.Dockerfile = []byte(dockerfile)
	_, image := b.pushed(t, req)
	check := func(path string, want bool) {
		t.Helper()
		if _, got := image.files[path]; got != want {
			t.Errorf("with %s: %s in the image is %v, want %v", req.DockerfileName, path, got, want)
		}
	}
	check("/sub/kept", true)
	check("/general", false)
	check("/special", true)

	files["Dockerfile.1.dockerignore"] = "special\n"
	dir := t.TempDir()
	req = b.requestIn(t, dir, "ignore", files)
	req.Context = contextOf(t, dir, "Dockerfile.1")
	req.Dockerfile, req.DockerfileName = []byte(dockerfile), "Dockerfile.1"
	_, image = b.pushed(t, req)
	check("/sub/kept", true)
	check("/general", true)
	check("/special", false)
}

// A file that changes after it was hashed fails the build and pushes nothing;
// what was sent of it until then is in no later build of what was hashed, though
// engines keep it and know files by their size and time.
func testChangedFile(t *testing.T, b bench) {
	dir, text := t.TempDir(), fresh()
	mark := filepath.Join(dir, "mark")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(mark, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name := "changed-" + strings.ToLower(fresh())
	req := b.requestIn(t, dir, name, map[string]string{"Dockerfile": "FROM scratch\nCOPY mark /mark\n", "mark": text})
	req.Push = true
	for _, content := range []string{fresh(), text + "x", ""} {
		put(text)
		req.Context = contextOf(t, dir, "Dockerfile")
		put(content)
		if _, err := b.builder.Build(t.Context(), req); err == nil || !strings.Contains(err.Error(), "mark changed while the image was built: run again") {
			t.Errorf("Build = %v", err)
		}
		resp, err := http.Get("http://" + b.registry + "/v2/test/" + name + "/tags/list")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("the registry answers %s", resp.Status)
		}
	}
	put(text)
	req.Context = contextOf(t, dir, "Dockerfile")
	if _, image := b.pushed(t, req); image.files["/mark"] != text {
		t.Errorf("/mark = %q, want %q", image.files["/mark"], text)
	}
}

// Several platforms make one index, or a refusal that names who can.
func testPlatforms(t *testing.T, b bench) {
	req := b.request(t, "platforms", map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /tool\n"})
	req.Platforms = []string{"linux/amd64", "linux/arm64"}
	req.Labels = map[string]string{build.LabelFingerprint: "f"}
	req.Push = true
	result, err := b.builder.Build(t.Context(), req)
	if !b.builder.Capabilities().MultiPlatform {
		if err == nil || !strings.Contains(err.Error(), "embedded") {
			t.Errorf("Build = %v, want an error that names another engine", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := harness.DigestAt(t, req.References[0]); got != result.Digest {
		t.Errorf("digest = %s, the registry has %s", result.Digest, got)
	}
	var index ocispec.Index
	repository, version := harness.Split(req.References[0])
	harness.ManifestAt(t, repository, version, &index)
	if _, ours := b.builder.engine.store.(*ociStore); ours && index.Annotations[build.LabelFingerprint] != "f" {
		t.Errorf("the index has the annotations %v", index.Annotations)
	}
}
