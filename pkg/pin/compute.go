package pin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Compute finds the bytes to change so that the images of the document in the
// file entry carry the wanted digests. Nothing is written. Only files under
// root, symbolic links resolved, are changed.
//
// Changes that cannot be made are reported all at once, each as a *Refusal.
// The result is a plan for all changes or none.
func Compute(ctx context.Context, ev provenance.Evaluator, root, entry string, changes []Change) (*Patch, error) {
	root, entry, err := resolve(root, entry)
	if err != nil {
		return nil, err
	}
	doc, err := provenance.Load(ctx, ev, entry)
	if err != nil {
		return nil, fmt.Errorf("pinning: %w", err)
	}
	c := &computation{doc: doc, root: root, wanted: map[int]*image{}}
	c.want(changes)
	if err := c.traceDigests(ctx); err != nil {
		return nil, err
	}
	if err := c.traceInsertions(ctx); err != nil {
		return nil, err
	}
	if len(c.refusals) > 0 {
		c.placeRefusals(ctx)
		return nil, join(c.refusals)
	}
	edits := c.edits()
	if err := c.verify(ctx, edits); err != nil {
		return nil, err
	}
	return c.plan(changes, edits)
}

func resolve(root, entry string) (realRoot, absoluteEntry string, err error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return "", "", fmt.Errorf("pinning: root %s: %w", root, err)
	}
	realRoot, err = filepath.EvalSymlinks(absolute)
	if err != nil {
		return "", "", fmt.Errorf("pinning: root %s: %w", root, err)
	}
	absoluteEntry, err = filepath.Abs(entry)
	if err != nil {
		return "", "", fmt.Errorf("pinning: %s: %w", entry, err)
	}
	return realRoot, absoluteEntry, nil
}

// A computation is one Compute in progress.
type computation struct {
	doc      *provenance.Document
	root     string
	wanted   map[int]*image // by index into doc.Strings
	refusals []*Refusal
}

// An image is one string of the document that is to carry a digest.
type image struct {
	pointer string
	token   provenance.String
	ref     reference.Reference
	digest  string // the wanted one
	// refused tells that a Refusal covers this image already.
	refused bool
	// position and edit are set once it is known where the digest goes. An
	// image that needs no edit has none.
	position provenance.Position
	edit     *provenance.Edit
}

// stays tells that the image has the wanted digest already.
func (i *image) stays() bool { return i.ref.Digest == i.digest }

// digestAt is the offset of the digest's 64 digits in the document.
func (i *image) digestAt() int { return i.token.End - 1 - hexLength }

// result is the whole reference as it is to be.
func (i *image) result() string { return i.ref.WithDigest(i.digest).String() }

// want looks up the changes in the document.
func (c *computation) want(changes []Change) {
	byPointer := make(map[string]int, len(c.doc.Strings))
	for i, token := range c.doc.Strings {
		if !token.Key {
			byPointer[token.Pointer] = i
		}
	}
	for _, change := range changes {
		index, ok := byPointer[change.Pointer]
		if !ok {
			c.refuse(&Refusal{Pointers: []string{change.Pointer}, Reason: "the evaluated document has no string there"})
			continue
		}
		token := c.doc.Strings[index]
		refusal := &Refusal{Pointers: []string{change.Pointer}, Image: token.Value}
		if known := c.wanted[index]; known != nil {
			if known.digest != change.Digest {
				refusal.Reason = fmt.Sprintf("two digests are wanted for it, %s and %s", known.digest, change.Digest)
				c.refuse(refusal)
			}
			continue
		}
		if err := reference.CheckDigest(change.Digest); err != nil {
			refusal.Reason = "the wanted digest " + err.Error()
			c.refuse(refusal)
			continue
		}
		ref, err := reference.Parse(token.Value)
		if err != nil {
			refusal.Reason = err.Error()
			c.refuse(refusal)
			continue
		}
		c.wanted[index] = &image{pointer: change.Pointer, token: token, ref: ref, digest: change.Digest}
	}
}

func (c *computation) refuse(refusal *Refusal) {
	c.refusals = append(c.refusals, refusal)
}

// refuseImage refuses an image, unless it has been refused before.
func (c *computation) refuseImage(img *image, at provenance.Position, reason string) {
	if img.refused {
		return
	}
	img.refused = true
	c.refuse(&Refusal{Pointers: []string{img.pointer}, Image: img.token.Value, Position: at, Reason: reason})
}

// ordered are the wanted images in the order of the document.
func (c *computation) ordered() []*image {
	indexes := make([]int, 0, len(c.wanted))
	for index := range c.wanted {
		indexes = append(indexes, index)
	}
	sort.Ints(indexes)
	images := make([]*image, len(indexes))
	for i, index := range indexes {
		images[i] = c.wanted[index]
	}
	return images
}

// inside tells whether a real path lies under the root.
func (c *computation) inside(path string) bool {
	relative, err := filepath.Rel(c.root, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// vendored tells whether a path under the root lies in a folder that a tool
// such as jsonnet-bundler fills, and fills again.
func (c *computation) vendored(path string) bool {
	relative, err := filepath.Rel(c.root, path)
	return err == nil && slices.Contains(strings.Split(filepath.Dir(relative), string(filepath.Separator)), "vendor")
}

// foreign is why the digest in a file is not this tree's to change; "" if it is.
func (c *computation) foreign(path string) string {
	switch {
	case !c.inside(path):
		return fmt.Sprintf("its digest belongs in %s, which lies outside of the root %s; move the file into the tree, or pin it where it lives", path, c.root)
	case c.vendored(path):
		return fmt.Sprintf("its digest belongs in %s, below a folder vendor, which is somebody else's and would be written anew; set the image in a manifest of this tree", path)
	}
	return ""
}

func (c *computation) position(file string, offset int) provenance.Position {
	line, column := provenance.Line(c.doc.Files[file], offset)
	return provenance.Position{File: file, Line: line, Column: column}
}

// placeRefusals adds positions to refusals without one, where the document
// tells which literal an image comes from.
func (c *computation) placeRefusals(ctx context.Context) {
	origins, err := c.doc.Origins(ctx)
	if err != nil {
		// The refusals have no positions then: what they say is as true.
		origins = nil
	}
	for _, refusal := range c.refusals {
		if refusal.Position.File != "" {
			continue
		}
		refusal.Position = provenance.Position{File: c.doc.Entry}
		if position, ok := origins[refusal.Pointers[0]]; ok {
			refusal.Position = position
		}
	}
}

// edits are the images' edits without repetition: one literal may be used by several
// images.
func (c *computation) edits() []provenance.Edit {
	var edits []provenance.Edit
	seen := map[provenance.Edit]bool{}
	for _, img := range c.ordered() {
		if img.edit != nil && !seen[*img.edit] {
			seen[*img.edit] = true
			edits = append(edits, *img.edit)
		}
	}
	return edits
}

func (c *computation) plan(changes []Change, edits []provenance.Edit) (*Patch, error) {
	plan := &Patch{}
	byPointer := map[string]*image{}
	for _, img := range c.wanted {
		byPointer[img.pointer] = img
	}
	for _, change := range changes {
		img := byPointer[change.Pointer]
		plan.Pins = append(plan.Pins, Pin{
			Pointer: change.Pointer, Old: img.token.Value, New: img.result(), Position: img.position,
		})
	}
	byFile := map[string][]provenance.Edit{}
	for _, edit := range edits {
		byFile[edit.File] = append(byFile[edit.File], edit)
	}
	for path, list := range byFile {
		edited, err := provenance.Apply(c.doc.Files[path], list)
		if err != nil {
			return nil, fmt.Errorf("pinning: %w", err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("pinning: %w", err)
		}
		file := PatchedFile{Path: path, Old: c.doc.Files[path], New: edited, Mode: info.Mode()}
		if !bytes.Equal(file.Old, file.New) {
			plan.Files = append(plan.Files, file)
		}
	}
	sort.Slice(plan.Files, func(a, b int) bool { return plan.Files[a].Path < plan.Files[b].Path })
	return plan, nil
}
