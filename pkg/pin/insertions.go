package pin

import (
	"context"
	"fmt"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// How well a literal suits an image without a digest, best first.
const (
	// wholeImage: the literal is the image.
	wholeImage = iota
	// imageFormat: the literal begins as the image does ("acme/rt:%s").
	imageFormat
	// imagePart: a piece of the image, such as its tag.
	imagePart
)

// A candidate is a string literal to which a digest might be appended.
type candidate struct {
	literal provenance.FileLiteral
	mark    provenance.Edit
	trace   provenance.Trace
}

// traceInsertions finds the literals at whose end the digests of the images
// belong that have none.
func (c *computation) traceInsertions(ctx context.Context) error {
	var unpinned []*image
	for _, img := range c.ordered() {
		if img.ref.Digest == "" {
			unpinned = append(unpinned, img)
		}
	}
	if len(unpinned) == 0 {
		return nil
	}
	candidates, err := c.candidates(ctx, unpinned)
	if err != nil {
		return fmt.Errorf("pinning: %w", err)
	}
	chosen := map[*image]*candidate{}
	for _, img := range unpinned {
		found, at, reason := c.choose(img, candidates)
		if found == nil {
			c.refuseImage(img, at, reason)
			continue
		}
		chosen[img] = found
	}
	for _, img := range unpinned {
		found := chosen[img]
		if found == nil {
			continue
		}
		img.position = found.literal.Position()
		if other := c.disagrees(found, chosen); other != nil {
			c.refuseImage(img, img.position, fmt.Sprintf(
				"appending a digest here would also change %s, %q, for which another literal suits better; write each image as a literal of its own",
				other.pointer, other.token.Value))
			continue
		}
		edit := found.mark
		edit.Text = "@" + img.digest
		img.edit = &edit
	}
	return nil
}

// disagrees is an image that uses the candidate and that does not have the
// candidate for its own, or nil.
func (c *computation) disagrees(cand *candidate, chosen map[*image]*candidate) *image {
	for _, hit := range cand.trace.Hits {
		if other := c.wanted[hit.String]; chosen[other] != cand {
			return other
		}
	}
	return nil
}

// candidates are the literals that may end one of the images, traced.
func (c *computation) candidates(ctx context.Context, unpinned []*image) ([]*candidate, error) {
	literals, err := c.doc.Literals()
	if err != nil {
		return nil, err
	}
	var found []*candidate
	var marks []provenance.Edit
	for _, literal := range literals {
		plausible := false
		for _, img := range unpinned {
			plausible = plausible || mayEnd(literal.Value, img.token.Value)
		}
		if !plausible {
			continue
		}
		at := literal.CloseQuote
		mark := provenance.Edit{
			File: literal.File, Start: at, End: at, Text: "@sha256:" + provenance.Fake(literal.File, at),
		}
		marks = append(marks, mark)
		found = append(found, &candidate{literal: literal, mark: mark})
	}
	traces, err := c.doc.Trace(ctx, marks, 0)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].trace = traces[i]
	}
	return found, nil
}

// mayEnd tells whether a literal can be what image ends with: it is the end
// of the image, or a format.
func mayEnd(literal, image string) bool {
	return literal != "" && strings.HasSuffix(image, literal) || strings.Contains(literal, "%")
}

// suitability ranks a candidate for an image.
func suitability(literal, image string) int {
	beginning, _, _ := strings.Cut(literal, "%")
	switch {
	case literal == image:
		return wholeImage
	case beginning != "" && strings.HasPrefix(image, beginning):
		return imageFormat
	}
	return imagePart
}

// choose finds the one literal for an image, or says why there is none.
func (c *computation) choose(img *image, candidates []*candidate) (*candidate, provenance.Position, string) {
	var best []*candidate
	bestRank := imagePart
	var obstacles []obstacle
	for _, cand := range candidates {
		rank := suitability(cand.literal.Value, img.token.Value)
		if problem := c.obstacle(img, cand); problem != "" {
			if problem != unrelated {
				obstacles = append(obstacles, obstacle{rank, cand.literal.Position(), problem})
			}
			continue
		}
		if rank < bestRank {
			best, bestRank = nil, rank
		}
		if rank == bestRank {
			best = append(best, cand)
		}
	}
	switch {
	case len(best) == 1:
		return best[0], provenance.Position{}, ""
	case len(best) > 1:
		return nil, best[0].literal.Position(), fmt.Sprintf(
			"a digest could be appended to the literal here or to the one at %s; write the image as one literal, or append the digest by hand once",
			best[1].literal.Position())
	case len(obstacles) > 0:
		first := obstacles[0]
		for _, o := range obstacles {
			if o.rank < first.rank {
				first = o
			}
		}
		return nil, first.at, first.reason
	}
	return nil, provenance.Position{}, "no string literal is known to which a digest could be appended; write the image as one literal, or append the digest by hand once"
}

// An obstacle is why a literal that suits an image cannot take its digest.
type obstacle struct {
	rank   int
	at     provenance.Position
	reason string
}

// unrelated is the obstacle of literals that have nothing to do with an image.
const unrelated = "unrelated"

// obstacle says why appending the digest of img to a candidate would not do,
// or "".
func (c *computation) obstacle(img *image, cand *candidate) string {
	if cand.trace.Err != nil {
		if !mayEnd(cand.literal.Value, img.token.Value) || suitability(cand.literal.Value, img.token.Value) == imagePart {
			return unrelated
		}
		return fmt.Sprintf("the document's logic depends on the literal to which the digest belongs; write the image as a literal of its own (%v)", cand.trace.Err)
	}
	ends := false
	var others []string
	for _, hit := range cand.trace.Hits {
		token := c.doc.Strings[hit.String]
		other := c.wanted[hit.String]
		switch {
		case token.Key:
			others = append(others, fmt.Sprintf("the field name %q", token.Value))
		case other == nil || other.ref.Digest != "":
			others = append(others, fmt.Sprintf("%s, %q, which is not to change", token.Pointer, token.Value))
		case hit.Offset != token.End-1:
			others = append(others, fmt.Sprintf("the middle of %s, %q", token.Pointer, token.Value))
		case other.digest != img.digest:
			others = append(others, fmt.Sprintf("%s, %q, which is to get %s", token.Pointer, token.Value, other.digest))
		}
		ends = ends || other == img && hit.Offset == token.End-1
	}
	switch {
	case !ends:
		return unrelated
	case len(others) > 0:
		return fmt.Sprintf("it is to get %s, but the literal here is also used by %s; write the image as a literal of its own",
			img.digest, strings.Join(others, " and "))
	}
	return c.foreign(cand.literal.File)
}
