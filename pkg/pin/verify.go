package pin

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// verify evaluates the document with the edits: it must be the old document
// with just the wanted digests changed.
func (c *computation) verify(ctx context.Context, edits []provenance.Edit) error {
	if len(edits) == 0 {
		return nil
	}
	problem, err := c.check(ctx, edits)
	if err != nil || problem == "" {
		return err
	}
	// One edit alone that goes wrong makes a better message than all.
	for _, edit := range edits {
		if len(edits) == 1 {
			break
		}
		single, err := c.check(ctx, []provenance.Edit{edit})
		if err != nil {
			return err
		}
		if single != "" {
			c.refuseEdits([]provenance.Edit{edit}, single)
		}
	}
	if len(c.refusals) == 0 {
		c.refuseEdits(edits, problem)
	}
	return join(c.refusals)
}

// check says what is wrong with the document after edits, or "".
func (c *computation) check(ctx context.Context, edits []provenance.Edit) (string, error) {
	made := map[provenance.Edit]bool{}
	for _, edit := range edits {
		made[edit] = true
	}
	var expected []provenance.Edit
	for _, img := range c.wanted {
		if img.edit == nil || !made[*img.edit] {
			continue
		}
		change := provenance.Edit{Start: img.token.End - 1, End: img.token.End - 1, Text: "@" + img.digest}
		if img.ref.Digest != "" {
			change.Start, change.Text = img.digestAt(), strings.TrimPrefix(img.digest, "sha256:")
		}
		expected = append(expected, change)
	}
	want, err := provenance.Apply(c.doc.JSON, expected)
	if err != nil {
		return "", fmt.Errorf("pinning: %w", err)
	}
	got, err := c.doc.EvaluateEdited(ctx, edits)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("pinning: %w", ctx.Err())
	case err != nil:
		return "with the new digest the document cannot be evaluated: " + err.Error(), nil
	case bytes.Equal(got, want):
		return "", nil
	}
	return "with the new digest the document differs in more than that digest: " + difference(want, got), nil
}

// difference names the first string in which two documents differ.
func difference(want, got []byte) string {
	wanted, err := provenance.Strings(want)
	if err != nil {
		return err.Error()
	}
	gotten, err := provenance.Strings(got)
	if err != nil {
		return err.Error()
	}
	for i := range min(len(wanted), len(gotten)) {
		w, g := wanted[i], gotten[i]
		if w.Pointer != g.Pointer {
			return fmt.Sprintf("%s instead of %s", g.Pointer, w.Pointer)
		}
		if w.Value != g.Value {
			return fmt.Sprintf("%s is %q instead of %q", g.Pointer, g.Value, w.Value)
		}
	}
	return "its structure or a number in it"
}

// refuseEdits refuses the images that the edits are for.
func (c *computation) refuseEdits(edits []provenance.Edit, reason string) {
	for _, edit := range edits {
		refusal := &Refusal{Position: c.position(edit.File, edit.Start)}
		for _, img := range c.ordered() {
			if img.edit == nil || *img.edit != edit {
				continue
			}
			refusal.Pointers = append(refusal.Pointers, img.pointer)
			if refusal.Image == "" {
				refusal.Image = img.token.Value
			}
		}
		refusal.Reason = reason
		c.refuse(refusal)
	}
}
