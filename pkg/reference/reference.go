// Package reference handles image references as people write them in
// manifests and Dockerfiles: "kubeless/go@sha256:…", "python:3.6",
// "ghcr.io/acme/rt:1@sha256:…".
//
// go-containerregistry's name package decides what is a valid reference and
// what it points to; this package adds what a tool that edits references
// needs: the parts as they were written, and moving a reference to another
// registry without losing its tag or digest. What a reference points to, a
// Resolver asks its registry.
package reference

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// A Reference is an image reference split into the parts as written.
// The zero value is not valid; use Parse.
type Reference struct {
	// Name is the repository as written, without tag and digest
	// ("kubeless/go", "ghcr.io/acme/rt", "python").
	Name string
	// Tag is the tag as written, or "".
	Tag string
	// Digest is "sha256:" and 64 lower-case hex digits, or "".
	Digest string

	repository string
}

// Parse splits s. It accepts what the distribution reference grammar accepts:
// NAME, NAME:TAG, NAME@DIGEST and NAME:TAG@DIGEST.
func Parse(s string) (Reference, error) {
	ref := Reference{Name: s}
	if i := strings.IndexByte(s, '@'); i >= 0 {
		ref.Name, ref.Digest = s[:i], s[i+1:]
		if err := CheckDigest(ref.Digest); err != nil {
			return Reference{}, fmt.Errorf("image reference %q: %w", s, err)
		}
	}
	// A colon after the last slash separates the tag; one before it belongs
	// to the registry's port.
	if i := strings.LastIndexByte(ref.Name, ':'); i > strings.LastIndexByte(ref.Name, '/') {
		ref.Name, ref.Tag = ref.Name[:i], ref.Name[i+1:]
		if ref.Tag == "" {
			return Reference{}, fmt.Errorf("image reference %q: the tag after %q is empty", s, ":")
		}
	}
	parsed, err := name.ParseReference(ref.WithoutDigest())
	if err != nil {
		return Reference{}, fmt.Errorf("image reference %q: %w", s, err)
	}
	ref.repository = parsed.Context().Name()
	return ref, nil
}

// MustParse is Parse for references known to be valid; it panics otherwise.
func MustParse(s string) Reference {
	ref, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return ref
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// CheckDigest tells whether d is a digest as manifests carry it:
// "sha256:" and 64 lower-case hexadecimal digits.
func CheckDigest(d string) error {
	if !digestPattern.MatchString(d) {
		return fmt.Errorf("%q is not a digest: want sha256: and 64 lower-case hexadecimal digits", d)
	}
	return nil
}

// Repository is the fully qualified repository: "index.docker.io/library/python"
// for "python". Two references name one repository if and only if these agree.
func (r Reference) Repository() string { return r.repository }

// Registry is the host of Repository ("index.docker.io", "127.0.0.1:5000").
func (r Reference) Registry() string {
	host, _, _ := strings.Cut(r.repository, "/")
	return host
}

// OnLoopback tells whether the registry is one of this machine.
func (r Reference) OnLoopback() bool { return IsLoopback(HostWithoutPort(r.Registry())) }

// HostWithoutPort is HOST of HOST or HOST:PORT, without the brackets of an IPv6
// address.
func HostWithoutPort(host string) string {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		return bare
	}
	return strings.Trim(host, "[]")
}

// IsLoopback tells whether a host, without a port, stands for this machine.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Path is Repository without its registry: "library/python".
func (r Reference) Path() string {
	_, path, _ := strings.Cut(r.repository, "/")
	return path
}

// Namespace is Repository without its last path component:
// "index.docker.io/kubeless" for "kubeless/go".
func (r Reference) Namespace() string {
	return r.repository[:strings.LastIndexByte(r.repository, '/')]
}

// Official tells whether the reference is one of Docker Hub's official images
// ("python", "library/node"), which nobody but Docker can push.
func (r Reference) Official() bool {
	return strings.HasPrefix(r.repository, name.DefaultRegistry+"/library/")
}

// WithTag is the reference with this tag and no digest.
func (r Reference) WithTag(tag string) Reference {
	r.Tag, r.Digest = tag, ""
	return r
}

// WithDigest is the reference, its tag kept, at this digest.
func (r Reference) WithDigest(digest string) Reference {
	r.Digest = digest
	return r
}

// WithoutDigest is NAME or NAME:TAG, as written.
func (r Reference) WithoutDigest() string {
	if r.Tag == "" {
		return r.Name
	}
	return r.Name + ":" + r.Tag
}

// String is the whole reference as written.
func (r Reference) String() string {
	if r.Digest == "" {
		return r.WithoutDigest()
	}
	return r.WithoutDigest() + "@" + r.Digest
}

// Relocate moves the reference to another registry: HOST[/PREFIX]/<path>. The
// path is the repository's without its registry as written, so "kubeless/go"
// at "127.0.0.1:5000/ci" is "127.0.0.1:5000/ci/kubeless/go". Tag and digest
// stay: a digest names the same bytes everywhere. An empty registry changes
// nothing.
func (r Reference) Relocate(registry string) Reference {
	if registry == "" {
		return r
	}
	path := r.Path()
	if !strings.HasPrefix(r.Name, "library/") && !strings.Contains(r.Name, "/library/") {
		path = strings.TrimPrefix(path, "library/")
	}
	r.Name = strings.TrimSuffix(registry, "/") + "/" + path
	moved, err := name.NewRepository(r.Name)
	if err != nil {
		// The registry was checked by CheckRegistry; the path comes from a parsed
		// reference.
		panic(fmt.Sprintf("relocating to %q: %v", registry, err))
	}
	r.repository = moved.Name()
	return r
}

// CheckRegistry tells whether registry is a HOST[/PREFIX] to which references can
// be relocated.
func CheckRegistry(registry string) error {
	if scheme, _, found := strings.Cut(registry, "://"); found {
		return fmt.Errorf("registry %q: leave %s:// out and write HOST[:PORT][/PREFIX]; plain HTTP is a setting of its own (--insecure-registry)", registry, scheme)
	}
	host, _, _ := strings.Cut(registry, "/")
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return fmt.Errorf("registry %q: %q is not a host name; write HOST[:PORT][/PREFIX], as in ghcr.io/acme or localhost:5000", registry, host)
	}
	if _, err := name.NewRepository(strings.TrimSuffix(registry, "/") + "/x"); err != nil {
		return fmt.Errorf("registry %q: %w; write HOST[:PORT][/PREFIX]", registry, err)
	}
	return nil
}

// CanonicalPrefix is the start of repositories as Repository writes them, for
// one as people write it: "docker.io/library" is "index.docker.io/library".
func CanonicalPrefix(prefix string) string {
	prefix = strings.TrimSuffix(prefix, "/")
	host, rest, found := strings.Cut(prefix, "/")
	if host == "docker.io" {
		host = name.DefaultRegistry
	}
	if !found {
		return host
	}
	return host + "/" + rest
}
