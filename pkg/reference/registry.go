package reference

import (
	"context"
	"errors"
)

// A Descriptor identifies what a reference points to at its registry: the part
// of the OCI content descriptor that pinning needs.
type Descriptor struct {
	// Digest is "sha256:" and 64 lower-case hexadecimal digits.
	Digest string
	// MediaType is the manifest's media type, which tells an image from an
	// image index.
	MediaType string
	// Size is the manifest's length in bytes.
	Size int64
}

// A Resolver finds out at registries what references point to. It is safe for
// concurrent use.
type Resolver interface {
	// Resolve asks the registry of ref (NAME:TAG or NAME@DIGEST) for its
	// descriptor. The error wraps ErrNotFound, ErrUnauthorized, ErrForbidden
	// or ErrUnreachable where one of them is the reason, and ctx's error if
	// ctx ended first.
	Resolve(ctx context.Context, ref string) (Descriptor, error)
	// Annotations is Resolve with the annotations of the manifest or index,
	// as far as they cost no more requests than that, nor any that the
	// registry counts as pulls.
	Annotations(ctx context.Context, ref string) (Descriptor, map[string]string, error)
}

// Reasons why a registry did not give what it was asked for.
var (
	// ErrNotFound: the registry answered that there is no such manifest or
	// repository (404).
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: the registry wants credentials, or other ones (401).
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden: the registry knows who asks and refuses (403).
	ErrForbidden = errors.New("forbidden")
	// ErrHidden comes with one of the two where the registry takes the login: it
	// may refuse to show what does not exist yet, and only a push tells.
	ErrHidden = errors.New("the login is right: what was asked for may not exist")
	// ErrNoImage: the manifest is something else than an image or an index of
	// images, such as a signature.
	ErrNoImage = errors.New("not an image")
	// ErrNoDeletes: the registry allows nobody to delete manifests (405).
	ErrNoDeletes = errors.New("the registry allows no deletes")
	// ErrUnreachable: there was no conversation with the registry: name not
	// resolved, connection refused or timed out, TLS not agreed on.
	ErrUnreachable = errors.New("registry unreachable")
)

// MayBeMissing tells whether err says that the registry has no such manifest, or
// that it does not tell.
func MayBeMissing(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrHidden) }
