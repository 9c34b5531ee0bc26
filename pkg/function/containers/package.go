package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A Publisher pushes images of functions. It is the edge to registries.
type Publisher interface {
	// Publish pushes what p says, and returns its reference with the digest. The
	// same files on the same base are the same image.
	Publish(ctx context.Context, p Publication) (reference string, err error)
}

// A Publication is an image to push: another one, and a layer of files on it.
type Publication struct {
	// Base is the reference of the image below, and Platform which of an index's
	// it is ("linux/amd64").
	Base, Platform string
	// Repository is where it is pushed to, under a tag that begins with Name.
	Repository, Name string
	// Files are under Folder, which is absolute. They are for everybody to read
	// and for nobody but root to write.
	Folder string
	Files  []function.File
}

// epoch is SOURCE_DATE_EPOCH of the phases of a function that is put into an
// image, 1980-01-01: no archive holds an earlier time. Python's byte code is
// checked by its sources' contents then, whose times a layer does not keep.
const epoch = "315532800"

// Package brings a function through its phases on an engine and pushes it to a
// repository, in an image of its own: its runtime's, with what the phases left
// as one layer more; folders without files are not in it. It returns the image's
// reference with the digest. Nothing is left in the engine.
func Package(ctx context.Context, host Host, publisher Publisher, f *function.Function, repository string) (_ string, err error) {
	images, err := FindImages(ctx, host, f.Runtime)
	if err != nil {
		return "", err
	}
	labels, err := labelsOf(f, serverPart, newGeneration())
	if err != nil {
		return "", err
	}
	packaged := *f
	packaged.Env = withDefaults(slices.Clone(f.Env), function.Variable{Name: "SOURCE_DATE_EPOCH", Value: epoch})
	prepared, err := Prepare(ctx, host, images, &packaged, labels)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, prepared.Remove(ctx)) }()
	image := images[manifest.RuntimePhase]
	files, err := host.ReadVolume(ctx, image.ID, prepared.Volume)
	if err != nil {
		return "", err
	}
	slices.SortFunc(files, func(a, b function.File) int { return strings.Compare(a.Name, b.Name) })
	references := f.Runtime.Phase(manifest.RuntimePhase).References
	reference, err := publisher.Publish(ctx, Publication{
		Base: references[len(references)-1], Platform: image.Platform, Repository: repository, Name: f.Name, Folder: function.VolumePath, Files: files,
	})
	if err != nil {
		return "", fmt.Errorf("putting function %s into an image: %w", f.Name, err)
	}
	return reference, nil
}
