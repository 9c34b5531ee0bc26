//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A pruning is a tree of two platforms with four releases in its history, and the
// registry that has their images.
type pruning struct {
	t            *testing.T
	root, dest   string
	host, folder string            // of the registry
	images       map[string]string // HOST/path@digest of each index, by a name
}

// A stored is what one image consists of at the registry.
type stored struct{ manifests, blobs []string }

func newPruning(t *testing.T, root, dest, host, folder string) *pruning {
	t.Helper()
	p := &pruning{t: t, root: root, dest: dest, host: host, folder: folder, images: map[string]string{}}
	harness.Write(t, filepath.Join(root, ".gitignore"), "/.rtbuild/\n")
	p.git(200, "init", "-q", "-b", "main")
	dockerfile, arch := filepath.Join(root, "stable/web/Dockerfile.2"), filepath.Join(root, "base/arch/amd64")
	p.release(100, map[string]string{"base": "base1", "web:1": "child1", "web:2": "web1"})
	harness.Write(t, arch, "second\n")
	p.release(50, map[string]string{"base": "base2", "web:1": "child2"})
	harness.Write(t, dockerfile, harness.Read(t, dockerfile)+"ENV RELEASE=third\n")
	p.release(20, map[string]string{"web:2": "web3"})
	harness.Write(t, arch, "fourth\n")
	p.release(1, map[string]string{"base": "base4", "web:1": "child4"})

	// What was pushed and never released.
	sources := harness.Read(t, dockerfile)
	harness.Write(t, dockerfile, sources+"ENV TRIED=yes\n")
	tried := released(t, root, "--content-only", "--builder", "embedded", "--registry", dest)
	p.images["tried"] = host + "/acme/web@" + tried["web:2"].Digest
	harness.Write(t, dockerfile, sources)
	return p
}

// git runs git in the tree as of so many days ago.
func (p *pruning) git(daysAgo int, args ...string) {
	p.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", p.root, "-c", "user.name=n", "-c", "user.email=n@example.org"}, args...)...)
	date := time.Now().AddDate(0, 0, -daysAgo).Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_COMMITTER_DATE="+date, "GIT_AUTHOR_DATE="+date)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// release releases the tree so many days ago; names are those of the images
// that are new in it, by their targets.
func (p *pruning) release(daysAgo int, names map[string]string) {
	p.t.Helper()
	harness.Want(p.t, 0, p.root, "all", "--push", "--builder", "embedded", "--registry", p.dest)
	p.git(daysAgo, "add", "-A")
	p.git(daysAgo, "commit", "-q", "-m", "x")
	for target, name := range names {
		tag := strings.Replace(target, "base", "base:latest", 1)
		repository, _ := harness.Split(p.host + "/acme/" + tag)
		p.images[name] = repository + "@" + harness.DigestAt(p.t, p.host+"/acme/"+tag)
	}
}

// prune runs prune and returns the names of what it lists, sorted.
func (p *pruning) prune(args ...string) string {
	p.t.Helper()
	r := harness.Want(p.t, 0, p.root, append([]string{"prune", "--registry", p.dest, "--output", "json"}, args...)...)
	return p.names(r.Stdout, slices.Contains(args, "--delete"))
}

// names are those of the images in what prune printed as JSON.
func (p *pruning) names(printed string, deleted bool) string {
	p.t.Helper()
	var listed []struct {
		Repository, Digest string
		Deleted            bool
	}
	if err := json.Unmarshal([]byte(printed), &listed); err != nil {
		p.t.Fatalf("%v:\n%s", err, printed)
	}
	var names []string
	for _, image := range listed {
		if image.Deleted != deleted {
			p.t.Errorf("%s is said to be deleted: %v", image.Digest, image.Deleted)
		}
		name := "unknown " + image.Repository + "@" + image.Digest
		for known, ref := range p.images {
			if ref == image.Repository+"@"+image.Digest {
				name = known
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// pull takes an image of two platforms with all its layers, each with its digest
// checked.
func (p *pruning) pull(ref string) stored {
	p.t.Helper()
	index, err := remote.Index(insecure(p.t, ref))
	if err != nil {
		p.t.Fatalf("pulling %s: %v", ref, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		p.t.Fatal(err)
	}
	_, digest := harness.Split(ref)
	has := stored{manifests: []string{digest}}
	for _, child := range manifest.Manifests {
		has.manifests = append(has.manifests, child.Digest.String())
		image, err := index.Image(child.Digest)
		if err != nil {
			p.t.Fatal(err)
		}
		has.blobs = append(has.blobs, pullImage(p.t, image)...)
	}
	if len(has.manifests) != 3 {
		p.t.Fatalf("%s lists %d images", ref, len(has.manifests)-1)
	}
	return has
}

// pullImage reads an image, and returns the digests of its configuration and layers.
// The library checks each as it is read to its end.
func pullImage(t *testing.T, image v1.Image) []string {
	t.Helper()
	manifest, err := image.Manifest()
	if err == nil {
		_, err = image.RawConfigFile()
	}
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digests := []string{manifest.Config.Digest.String()}
	for i, layer := range layers {
		digests = append(digests, manifest.Layers[i].Digest.String())
		content, err := layer.Compressed()
		if err == nil {
			_, err = io.Copy(io.Discard, content)
			content.Close()
		}
		if err != nil {
			t.Fatalf("layer %s: %v", manifest.Layers[i].Digest, err)
		}
	}
	return digests
}

// onDisk tells whether the registry's folder holds the bytes of a digest.
func (p *pruning) onDisk(digest string) bool {
	hex := strings.TrimPrefix(digest, "sha256:")
	_, err := os.Stat(filepath.Join(p.folder, "docker/registry/v2/blobs/sha256", hex[:2], hex, "data"))
	return err == nil
}

// everyImage pulls all images and returns what they consist of, by their names.
func (p *pruning) everyImage() map[string]stored {
	p.t.Helper()
	all := map[string]stored{}
	for name, ref := range p.images {
		all[name] = p.pull(ref)
	}
	return all
}

// lists wants prune to list what is not needed, by what is kept, and to delete
// nothing.
func (p *pruning) lists() {
	p.t.Helper()
	before := sources(p.t, p.folder)
	for _, test := range []struct{ releases, days, want string }{
		{"2", "0", "base1 child1 tried web1"},
		{"1", "30", "base1 child1 tried"}, // The second release held until 20 days ago.
		{"1", "0", "base1 base2 child1 child2 tried web1"},
		{"4", "0", "tried"},
	} {
		if got := p.prune("--keep-releases", test.releases, "--keep-days", test.days); got != test.want {
			p.t.Errorf("beside %s releases and %s days nothing needs %q, want %q", test.releases, test.days, got, test.want)
		}
	}
	unchanged(p.t, p.folder, before)
}

// gone wants images to be gone from the registry and the disk, and all others to
// be there whole.
func (p *pruning) gone(before map[string]stored, names ...string) {
	p.t.Helper()
	needed := map[string]bool{}
	for name, ref := range p.images {
		if !slices.Contains(names, name) {
			has := p.pull(ref)
			for _, digest := range slices.Concat(has.manifests, has.blobs) {
				needed[digest] = true
			}
		}
	}
	for _, name := range names {
		repository, _ := harness.Split(p.images[name])
		for _, digest := range before[name].manifests {
			if needed[digest] || harness.DigestAt(p.t, repository+"@"+digest) != "" {
				p.t.Errorf("%s: manifest %s is still there", name, digest)
			}
		}
		freed := 0
		for _, digest := range slices.Concat(before[name].manifests, before[name].blobs) {
			if needed[digest] {
				continue
			}
			freed++
			if p.onDisk(digest) {
				p.t.Errorf("%s: %s is still on the disk", name, digest)
			}
		}
		if freed < 5 {
			p.t.Errorf("%s: %d blobs of it were to be freed: this test proves little", name, freed)
		}
	}
	for _, repository := range []string{"base", "web"} {
		for _, tag := range tagsAt(p.t, p.host+"/acme/"+repository) {
			if harness.DigestAt(p.t, p.host+"/acme/"+repository+":"+tag) == "" {
				p.t.Errorf("tag %s:%s stands for nothing", repository, tag)
			}
		}
	}
}

// Of a registry that allows deletes, prune deletes what no release that is kept
// needs, with the images that only that lists; after the registry has collected
// its garbage, all that is kept can be pulled.
func TestPrune(t *testing.T) {
	t.Setenv("REGISTRY_STORAGE_DELETE_ENABLED", "true")
	registry := harness.Serve(t, harness.RegistryConfig{})
	p := newPruning(t, twoPlatforms(t), registry.Address, registry.Address, registry.Folder)
	p.lists()
	before := p.everyImage()
	if got, want := p.prune("--keep-releases", "2", "--keep-days", "0", "--delete"), "base1 child1 tried web1"; got != want {
		t.Errorf("deleted %q, want %q", got, want)
	}
	if out, err := exec.Command("docker-registry", "garbage-collect", registry.Config).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.gone(before, "base1", "child1", "tried", "web1")
	if got := p.prune("--keep-releases", "2", "--keep-days", "0"); got != "" {
		t.Errorf("then it lists %q", got)
	}
	harness.Want(t, 0, p.root, "audit", "--registry", p.dest)
}

// Of the embedded registry, prune frees the disk as well: at once, or when nobody
// else serves its folder any more.
func TestPruneEmbedded(t *testing.T) {
	root := twoPlatforms(t)
	host, stop := serveEmbedded(t, root)
	p := newPruning(t, root, "local", host, filepath.Join(root, ".rtbuild/registry"))
	p.lists()
	before := p.everyImage()
	args := []string{"prune", "--registry", "local", "--keep-releases", "2", "--keep-days", "0", "--delete"}
	r := harness.Want(t, 1, root, append(args, "--output", "json")...)
	if got, want := p.names(r.Stdout, true), "base1 child1 tried web1"; got != want {
		t.Errorf("deleted %q, want %q", got, want)
	}
	if !strings.Contains(r.Stderr, "another process serves it at "+host) {
		t.Errorf("stderr does not say who serves the folder:\n%s", r.Stderr)
	}
	stop()
	if r := harness.Want(t, 0, root, args...); !strings.Contains(r.Stderr, "deleted 0 of ") || !strings.Contains(r.Stderr, "freed ") {
		t.Errorf("stderr does not say what was freed:\n%s", r.Stderr)
	}
	again, _ := serveEmbedded(t, root)
	if again != host {
		t.Fatalf("served at %s, then at %s", host, again)
	}
	p.gone(before, "base1", "child1", "tried", "web1")
	harness.Want(t, 0, root, "audit", "--registry", "local")
}

// serveEmbedded runs rtbuild registry, until stop or the end of the test.
func serveEmbedded(t *testing.T, root string) (host string, stop func()) {
	t.Helper()
	cmd := harness.Command(root, "registry")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // it was interrupted
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), stop
}
