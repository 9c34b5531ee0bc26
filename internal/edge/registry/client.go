// Package registry speaks to image registries: it resolves references to
// descriptors and pushes images, over go-containerregistry.
//
// The number of requests is the cost of a run over many images, so a Client
// keeps what can be kept: connections, the answer to a registry's version
// check (/v2/) per host, and the token per repository. The first reference of
// a repository takes a token request, where the registry asks for tokens, and
// a HEAD; every further one takes the HEAD alone.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// Descriptor is what a reference resolves to.
type Descriptor = release.Descriptor

var _ release.Resolver = (*Client)(nil)

// idleConnections is how many connections to one registry are kept for the
// next request: as many as pkg/release asks with at once.
const idleConnections = 16

// Config configures a Client. The zero value is usable.
type Config struct {
	// Insecure lists hosts, HOST or HOST:PORT, that may be spoken to over
	// plain HTTP. An entry without a port stands for every port of the host.
	// Loopback addresses need no entry.
	Insecure []string
	// UserAgent is put before go-containerregistry's own in User-Agent.
	UserAgent string
	// Transport carries the requests; nil for one with time limits, the
	// environment's proxies and the system's trusted certificates.
	Transport http.RoundTripper
}

// A Client asks registries. It is safe for concurrent use. Use New.
type Client struct {
	insecure insecureHosts
	options  []remote.Option
	puller   *remote.Puller
}

// New makes a Client. It does not connect to anything.
func New(cfg Config) *Client {
	inner := cfg.Transport
	if inner == nil {
		inner = newTransport()
	}
	insecure := newInsecureHosts(cfg.Insecure)
	options := []remote.Option{
		remote.WithTransport(newRegistryTransport(inner, insecure)),
		remote.WithAuthFromKeychain(keychain{}),
		remote.WithUserAgent(cfg.UserAgent),
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		// Only contradicting options fail, and these are constant.
		panic(fmt.Sprintf("registry client: %v", err))
	}
	return &Client{insecure: insecure, options: options, puller: puller}
}

// newTransport has a limit for each step that can hang. There is none for a
// whole request: a layer may take long to push.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   idleConnections,
	}
}

// Resolve asks for ref (NAME:TAG or NAME@DIGEST) with one HEAD and returns its
// descriptor; it takes a GET where the registry does not answer HEAD or gives
// no digest with it. The error names the reference, the registry and what to
// do, and wraps one of release's reasons where one applies.
func (c *Client) Resolve(ctx context.Context, ref string) (Descriptor, error) {
	parsed, err := c.parse(ref)
	if err != nil {
		return Descriptor{}, fmt.Errorf("resolving %s: %w", ref, err)
	}
	desc, err := c.puller.Head(ctx, parsed)
	if err != nil && wantsGet(ctx, err) {
		var got *remote.Descriptor
		if got, err = c.puller.Get(ctx, parsed); err == nil {
			desc = &got.Descriptor
		}
	}
	if err != nil {
		return Descriptor{}, explain(ctx, "resolving "+ref, parsed.Context(), err)
	}
	digest := desc.Digest.String()
	if err := reference.CheckDigest(digest); err != nil {
		return Descriptor{}, fmt.Errorf("resolving %s: registry %s answered with a digest that cannot be pinned: %w",
			ref, parsed.Context().RegistryStr(), err)
	}
	return Descriptor{Digest: digest, MediaType: string(desc.MediaType), Size: desc.Size}, nil
}

// wantsGet tells whether a HEAD failed in a way that a GET may not: the
// registry does not do HEAD, or left out a header that the descriptor needs.
// The library reports the latter, and nothing else that comes from a
// registry, as plain errors.
func wantsGet(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode == http.StatusMethodNotAllowed || answer.StatusCode == http.StatusNotImplemented
	}
	return unreachable(err) == nil && !isCredentialError(err)
}

// Push writes image to ref (NAME:TAG), unless ref stands for the very same
// manifest already, and returns its descriptor and whether it was written.
// Layers that the repository has are not sent again; a layer is read from
// where the image has it as it is sent.
func (c *Client) Push(ctx context.Context, ref string, image v1.Image) (Descriptor, bool, error) {
	parsed, err := c.parse(ref)
	if err != nil {
		return Descriptor{}, false, fmt.Errorf("pushing %s: %w", ref, err)
	}
	want, err := describe(image)
	if err != nil {
		return Descriptor{}, false, fmt.Errorf("pushing %s: reading the image: %w", ref, err)
	}
	there, err := c.Resolve(ctx, ref)
	if err == nil && there.Digest == want.Digest {
		return want, false, nil
	}
	if err != nil && !errors.Is(err, release.ErrNotFound) {
		return Descriptor{}, false, fmt.Errorf("pushing %s: %w", ref, err)
	}
	options := append([]remote.Option{remote.WithContext(ctx)}, c.options...)
	if err := remote.Write(parsed, image, options...); err != nil {
		return Descriptor{}, false, explain(ctx, "pushing "+ref, parsed.Context(), err)
	}
	return want, true, nil
}

func describe(image v1.Image) (Descriptor, error) {
	digest, err := image.Digest()
	if err != nil {
		return Descriptor{}, err
	}
	size, err := image.Size()
	if err != nil {
		return Descriptor{}, err
	}
	mediaType, err := image.MediaType()
	if err != nil {
		return Descriptor{}, err
	}
	return Descriptor{Digest: digest.String(), MediaType: string(mediaType), Size: size}, nil
}

// parse reads ref and allows plain HTTP where it is allowed: the library
// tries HTTPS first everywhere, and falls back only with this option or for
// hosts that it takes for local by itself, which the transport then refuses.
func (c *Client) parse(ref string) (name.Reference, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	if c.insecure.allow(parsed.Context().RegistryStr()) {
		return name.ParseReference(ref, name.Insecure)
	}
	return parsed, nil
}
