// Package pin writes image digests into Jsonnet sources. It changes the bytes
// of the digests and nothing else, and only where evaluating the document
// proves that exactly the wanted images change.
package pin

import (
	"bytes"
	"io/fs"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// A Change asks for one image of the evaluated document to carry a digest.
type Change struct {
	// Pointer is the RFC 6901 JSON pointer of the image
	// ("/0/versions/1/images/0/image").
	Pointer string
	// Digest is "sha256:" and 64 lower-case hexadecimal digits.
	Digest string
}

// A Patch is what pinning would write. Compute has evaluated the document with
// these files: it is the old document with just the wanted digests changed.
type Patch struct {
	// Files are the files whose bytes change, sorted by path.
	Files []PatchedFile
	// Pins has one entry for each Change, in the order of the changes.
	Pins []Pin
}

// A PatchedFile is a source file before and after.
type PatchedFile struct {
	// Path is the real absolute path.
	Path string
	// Old is the content that the plan was computed from, New what it becomes.
	Old, New []byte
	// Mode is the file's mode when the plan was computed.
	Mode fs.FileMode
}

// A Pin is one image before and after.
type Pin struct {
	// Pointer is that of the Change.
	Pointer string
	// Old and New are whole references. They are equal where the image had
	// the digest already.
	Old, New string
	// Position is where the digest is, or the literal to which it is
	// appended. It is the zero Position where an image that stays as it is
	// has a digest that cannot be traced.
	Position provenance.Position
}

// Diff is a unified diff of the files, in the form that "git apply" and
// "patch -p1" read, with slash-separated paths relative to root.
func (p *Patch) Diff(root string) []byte {
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved
	}
	var out bytes.Buffer
	for _, file := range p.Files {
		name, err := filepath.Rel(root, file.Path)
		if err != nil {
			name = file.Path
		}
		name = filepath.ToSlash(name)
		out.Write(diff.Diff("a/"+name, file.Old, "b/"+name, file.New))
	}
	return out.Bytes()
}
