// Package lockfile reads and writes rtbuild.lock, the committed file that holds
// the digest of every external base image: resolved once and used in every
// build, so that builds do not change when tags move. With the digest goes what
// the image says to builds on it, so that nobody has to be asked for that again.
package lockfile

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// FileName is the lock file's name, at the root of a repository.
const FileName = "rtbuild.lock"

// A File is the content of a lock file. It is safe for concurrent use.
type File struct {
	path string

	mu sync.Mutex
	content
	// saved is what the file at path holds, and source its bytes; nil if
	// there is no file.
	saved  content
	source []byte
}

// content is what a lock file holds.
type content struct {
	// images are digests by Key.
	images map[string]string
	// configs are what images say, by digest and platform ("linux/amd64"); there
	// are images that were not asked.
	configs map[string]map[string]baseimage.Config
}

func newContent() content {
	return content{images: map[string]string{}, configs: map[string]map[string]baseimage.Config{}}
}

func (c content) clone() content {
	clone := content{images: maps.Clone(c.images), configs: map[string]map[string]baseimage.Config{}}
	for digest, configs := range c.configs {
		clone.configs[digest] = maps.Clone(configs)
	}
	return clone
}

func (c content) equal(other content) bool {
	same := func(a, b map[string]baseimage.Config) bool { return maps.EqualFunc(a, b, baseimage.Config.Equal) }
	return maps.Equal(c.images, other.images) && maps.EqualFunc(c.configs, other.configs, same)
}

// Key is the reference under which an image is in the file: in full, as
// people write it ("docker.io/library/debian:bookworm-slim"), with the tag
// "latest" if ref has none and without ref's digest.
func Key(ref reference.Reference) string {
	repository, tag := ref.Repository(), ref.Tag
	if path, ok := strings.CutPrefix(repository, reference.CanonicalPrefix("docker.io")+"/"); ok {
		repository = "docker.io/" + path
	}
	if tag == "" {
		tag = "latest"
	}
	return repository + ":" + tag
}

// Digest is the digest to use for ref: its own if it carries one, else the
// file's, if that has an entry.
func (f *File) Digest(ref reference.Reference) (digest string, ok bool) {
	if ref.Digest != "" {
		return ref.Digest, true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	digest, ok = f.images[Key(ref)]
	return digest, ok
}

// Set records the digest of ref and returns the one it replaces, or "". A ref
// that carries a digest needs no entry and gets none. Save refuses a malformed
// digest.
func (f *File) Set(ref reference.Reference, digest string) (old string) {
	if ref.Digest != "" {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := Key(ref)
	old = f.images[key]
	f.images[key] = digest
	return old
}

// Remove removes the entry under Key(ref), if there is one.
func (f *File) Remove(ref reference.Reference) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.images, Key(ref))
}

// Config is what the image that has the digest says for a platform; ok is false
// if that is not known.
func (f *File) Config(digest, platform string) (config baseimage.Config, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	config, ok = f.configs[digest][platform]
	return config, ok
}

// SetConfig records what an image says for a platform.
func (f *File) SetConfig(digest, platform string, config baseimage.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.configs[digest] == nil {
		f.configs[digest] = map[string]baseimage.Config{}
	}
	f.configs[digest][platform] = config
}

// KeepConfigs removes what all images say but those that have one of the
// digests.
func (f *File) KeepConfigs(digests map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.configs, func(digest string, _ map[string]baseimage.Config) bool { return !digests[digest] })
}

// References are the keys of all entries, sorted.
func (f *File) References() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.images))
}

// Changed tells whether the entries are not those that the file on disk had
// when it was loaded or saved last.
func (f *File) Changed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.equal(f.saved)
}
