package pin

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// hexLength is the number of hexadecimal digits of a SHA-256 digest.
const hexLength = 64

// digestRuns finds the runs of exactly 64 lower-case hexadecimal digits.
func digestRuns(source []byte) []int {
	var starts []int
	for i := 0; i < len(source); {
		if !isHex(source[i]) {
			i++
			continue
		}
		start := i
		for i < len(source) && isHex(source[i]) {
			i++
		}
		if i-start == hexLength {
			starts = append(starts, start)
		}
	}
	return starts
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// A site is a run of digits in a source and what uses it.
type site struct {
	mark  provenance.Edit
	trace provenance.Trace
}

// traceDigests finds where the digests are of the images that have one.
func (c *computation) traceDigests(ctx context.Context) error {
	pinned := false
	for _, img := range c.wanted {
		pinned = pinned || img.ref.Digest != ""
	}
	if !pinned {
		return nil
	}
	var marks []provenance.Edit
	for _, file := range c.files() {
		for _, start := range digestRuns(c.doc.Files[file]) {
			marks = append(marks, provenance.Edit{
				File: file, Start: start, End: start + hexLength, Text: provenance.Fake(file, start),
			})
		}
	}
	traces, err := c.doc.Trace(ctx, marks, 0)
	if err != nil {
		return fmt.Errorf("pinning: %w", err)
	}
	sites := make([]site, len(marks))
	byOffset := map[int]*site{}
	for i := range marks {
		sites[i] = site{marks[i], traces[i]}
		for _, hit := range traces[i].Hits {
			byOffset[hit.Offset] = &sites[i]
		}
	}
	for _, img := range c.ordered() {
		if img.ref.Digest == "" {
			continue
		}
		found := byOffset[img.digestAt()]
		if found != nil {
			img.position = c.position(found.mark.File, found.mark.Start)
		}
		switch {
		case img.stays():
		case found == nil:
			at, reason := c.untraced(img, sites)
			c.refuseImage(img, at, reason)
		case c.foreign(found.mark.File) != "":
			c.refuseImage(img, img.position, c.foreign(found.mark.File))
		case !c.othersAgree(img, found):
		default:
			edit := found.mark
			edit.Text = strings.TrimPrefix(img.digest, "sha256:")
			img.edit = &edit
		}
	}
	return nil
}

func (c *computation) files() []string {
	paths := make([]string, 0, len(c.doc.Files))
	for path := range c.doc.Files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

// othersAgree tells whether all that uses the site is to have the digest
// that img is to have. If not, it refuses img and every image in conflict.
func (c *computation) othersAgree(img *image, s *site) bool {
	refusal := &Refusal{Pointers: []string{img.pointer}, Image: img.token.Value, Position: img.position}
	var conflicts []string
	for _, hit := range s.trace.Hits {
		token := c.doc.Strings[hit.String]
		other := c.wanted[hit.String]
		switch {
		case token.Key:
			conflicts = append(conflicts, fmt.Sprintf("the field name %q", token.Value))
		case other == nil || hit.Offset != other.digestAt():
			conflicts = append(conflicts, fmt.Sprintf("%s, %q, which is not to change", token.Pointer, token.Value))
		case other.digest != img.digest:
			conflicts = append(conflicts, fmt.Sprintf("%s, %q, which is to get %s", token.Pointer, token.Value, other.digest))
			if !other.stays() && !other.refused {
				other.refused = true
				refusal.Pointers = append(refusal.Pointers, token.Pointer)
			}
		}
	}
	if len(conflicts) == 0 {
		return true
	}
	if !img.refused {
		img.refused = true
		refusal.Reason = fmt.Sprintf("it is to get %s, but the digest written here is also used by %s; give each a digest of its own",
			img.digest, strings.Join(conflicts, " and "))
		c.refuse(refusal)
	}
	return false
}

// untraced says why the digest of img is not known to come from one place.
func (c *computation) untraced(img *image, sites []site) (provenance.Position, string) {
	digits := strings.TrimPrefix(img.ref.Digest, "sha256:")
	var at provenance.Position
	var causes []string
	for _, s := range sites {
		source := c.doc.Files[s.mark.File]
		if s.trace.Err == nil || string(source[s.mark.Start:s.mark.End]) != digits {
			continue
		}
		position := c.position(s.mark.File, s.mark.Start)
		if at.File == "" {
			at = position
		}
		causes = append(causes, fmt.Sprintf("%s: %v", position, s.trace.Err))
	}
	if len(causes) > 0 {
		return at, "the document's logic depends on the digest's value; take it out of conditions, assertions and functions (" +
			strings.Join(causes, "; ") + ")"
	}
	upper := strings.ToUpper(digits)
	for _, file := range c.files() {
		if offset := bytes.Index(c.doc.Files[file], []byte(upper)); offset >= 0 && upper != digits {
			return c.position(file, offset), "the digest is written in upper case and folded by the document; write it in lower case"
		}
	}
	return at, "its digest is not in any source file as one run of 64 lower-case hexadecimal digits: it is computed, folded or put together from pieces; write the digest as one string"
}
