// Package lockfile reads and writes rtbuild.lock, the committed file that holds
// the digest of every external base image: resolved once and used in every
// build, so that builds do not change when tags move. With the digest goes what
// the image makes a build on it do: its ONBUILD instructions.
package lockfile

import (
	"maps"
	"slices"
	"strings"
	"sync"

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
	// onBuild are the ONBUILD instructions of images by digest; there are images
	// that were not asked for theirs.
	onBuild map[string][]string
}

func newContent() content {
	return content{images: map[string]string{}, onBuild: map[string][]string{}}
}

func (c content) clone() content {
	return content{images: maps.Clone(c.images), onBuild: maps.Clone(c.onBuild)}
}

func (c content) equal(other content) bool {
	return maps.Equal(c.images, other.images) && maps.EqualFunc(c.onBuild, other.onBuild, slices.Equal[[]string])
}

// Key is the reference under which an image stands in the file: in full, as
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

// Remove removes the entry that stands under Key(ref), if there is one.
func (f *File) Remove(ref reference.Reference) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.images, Key(ref))
}

// OnBuild are the ONBUILD instructions, without that word, of the image that has
// the digest; ok is false if they are not known.
func (f *File) OnBuild(digest string) (instructions []string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	instructions, ok = f.onBuild[digest]
	return slices.Clone(instructions), ok
}

// SetOnBuild records the ONBUILD instructions of an image; it may have none.
func (f *File) SetOnBuild(digest string, instructions []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onBuild[digest] = slices.Clone(instructions)
}

// KeepOnBuild removes the ONBUILD instructions of all images but those that
// have one of the digests.
func (f *File) KeepOnBuild(digests map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.onBuild, func(digest string, _ []string) bool { return !digests[digest] })
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
