// Package registry speaks to image registries: it resolves references to
// descriptors, inspects, tags and pushes images, over go-containerregistry.
//
// The number of requests is the cost of a run over many images, so a Client
// keeps what can be kept: connections, what a registry wants to be shown per host
// (challenge), and the token per repository (session). The first reference of a
// repository takes a token request, where the registry asks for tokens, and a
// HEAD; every further one takes the HEAD alone. Where there are no credentials
// for a host, the HEAD comes first, and all else only where the registry does not
// answer it. Where a HEAD has no success, headState tells whether a GET decides.
//
// A request goes through these layers, from the outside: the library's
// authentication; hosts, which refuses plain HTTP; retry.Transport; the connection,
// of which each host has only so many. Credentials are those of package logins.
package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/internal/edge/retry"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Descriptor is what a reference resolves to.
type Descriptor = reference.Descriptor

var _ reference.Resolver = (*Client)(nil)

// Config configures a Client. The zero value is usable.
type Config struct {
	// Insecure lists hosts, HOST or HOST:PORT, that may be spoken to over
	// plain HTTP. An entry without a port means every port of the host.
	// Loopback addresses need no entry.
	Insecure []string
	// UserAgent is put before go-containerregistry's own in User-Agent.
	UserAgent string
	// CAFiles are PEM files of authorities that are trusted besides the
	// system's. One that cannot be read, or holds no certificate, makes every
	// request fail with an error that names it.
	CAFiles []string
	// Retries is how many more times a request is tried after a failure that
	// may pass, and RetryBase what the first wait stays below, as retry.New takes
	// them.
	Retries   int
	RetryBase time.Duration
	// Concurrency is how many connections each host has to work on at once. Zero
	// means 16.
	Concurrency int
	// Transport carries the requests; nil for one with time limits, the
	// environment's proxies and trust as CAFiles says. One that is given must
	// trust by itself: CAFiles is not used then.
	Transport http.RoundTripper
}

// A Client asks registries. It is safe for concurrent use. Use New.
type Client struct {
	hosts      *hosts
	userAgent  string
	challenges cache[*transport.Challenge] // by host, and whether it was asked
	sessions   cache[*session]             // by host, repository and action
	verdicts   cache[*verdict]             // of token servers, by host and login
	logins     cache[bool]                 // whether a login is right, by host and login
	heads      sync.Map                    // *headState by host
	// manifests are those that Annotations read: *remote.Descriptor by full
	// reference with the digest. They are small, and what is tagged is among them.
	manifests sync.Map
}

// New makes a Client. It does not connect to anything.
func New(cfg Config) *Client {
	connections := cfg.Transport
	if connections == nil {
		connections = newTransport(cfg.CAFiles, cfg.Concurrency)
	}
	retrying := retry.New(connections, cfg.Retries, cfg.RetryBase)
	return &Client{hosts: &hosts{inner: retrying, insecure: newInsecureHosts(cfg.Insecure)}, userAgent: cfg.UserAgent}
}

// Resolve asks for ref (NAME:TAG or NAME@DIGEST) with one HEAD and returns its
// descriptor; it takes a GET where the registry does not answer HEAD as it
// should, or gives no digest with it. The error names the reference, the registry
// and what to do, and wraps one of reference's reasons where one applies.
func (c *Client) Resolve(ctx context.Context, ref string) (Descriptor, error) {
	doing := "resolving " + ref
	parsed, err := c.parse(doing, ref)
	if err != nil {
		return Descriptor{}, err
	}
	desc, err := c.describe(ctx, parsed)
	if err != nil {
		return Descriptor{}, c.refusal(ctx, doing, parsed.Context(), err)
	}
	return described(doing, parsed, desc)
}

// described is a descriptor whose digest can be pinned.
func described(doing string, ref name.Reference, d *v1.Descriptor) (Descriptor, error) {
	if err := reference.CheckDigest(d.Digest.String()); err != nil {
		return Descriptor{}, fmt.Errorf("%s: registry %s answered with a digest that cannot be pinned: %w", doing, ref.Context().RegistryStr(), err)
	}
	return Descriptor{Digest: d.Digest.String(), MediaType: string(d.MediaType), Size: d.Size}, nil
}

// describe asks with HEAD where that can be relied on, else with GET.
func (c *Client) describe(ctx context.Context, ref name.Reference) (*v1.Descriptor, error) {
	head := c.head(ref)
	asked := head.worthAsking(ref)
	if asked {
		desc, err := ask(ctx, c, ref.Context(), func(p *remote.Puller) (*v1.Descriptor, error) { return p.Head(ctx, ref) })
		if err == nil {
			head.good.Store(true)
			return desc, nil
		}
		if !head.wantsGet(ctx, ref, err) {
			return nil, err
		}
	}
	got, err := c.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if asked {
		head.bad.Store(true)
	}
	return &got.Descriptor, nil
}

// get is a manifest that is whole; it takes a GET.
func (c *Client) get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	got, err := ask(ctx, c, ref.Context(), func(p *remote.Puller) (*remote.Descriptor, error) { return p.Get(ctx, ref) })
	if err == nil {
		err = checkComplete(got.Manifest)
	}
	if statusOf(err, http.StatusNotFound) {
		c.head(ref).missed.Store(true)
	}
	if err != nil {
		return nil, err
	}
	return got, nil
}

// fetch is get for a reference as people write it.
func (c *Client) fetch(ctx context.Context, doing, ref string) (name.Reference, *remote.Descriptor, error) {
	parsed, err := c.parse(doing, ref)
	if err != nil {
		return nil, nil, err
	}
	got, err := c.get(ctx, parsed)
	if err != nil {
		return nil, nil, c.refusal(ctx, doing, parsed.Context(), err)
	}
	return parsed, got, nil
}

// Annotations implements reference.Resolver. It takes a GET of the manifest; of
// Docker Hub, which counts those as pulls and so allows few of them, a HEAD,
// and then there are no annotations.
func (c *Client) Annotations(ctx context.Context, ref string) (Descriptor, map[string]string, error) {
	doing := "resolving " + ref
	if parsed, err := c.parse(doing, ref); err == nil && parsed.Context().RegistryStr() == name.DefaultRegistry {
		desc, err := c.Resolve(ctx, ref)
		return desc, nil, err
	}
	parsed, got, err := c.fetch(ctx, doing, ref)
	if err != nil {
		return Descriptor{}, nil, err
	}
	c.manifests.Store(parsed.Context().Digest(got.Digest.String()).Name(), got)
	desc, err := described(doing, parsed, &got.Descriptor)
	return desc, got.Annotations, err
}

// checkComplete refuses a manifest that was cut off where the protocol did not
// show it: its digest would be that of nothing.
func checkComplete(manifest []byte) error {
	if !json.Valid(manifest) {
		return fmt.Errorf("the manifest of %d bytes that it gave is not a JSON document", len(manifest))
	}
	return nil
}

// parse reads ref and allows plain HTTP where it is allowed: the library
// tries HTTPS first everywhere, and falls back only with this option or for
// hosts that it takes for local by itself, which hosts then refuses.
func (c *Client) parse(doing, ref string) (name.Reference, error) {
	parsed, err := name.ParseReference(ref)
	if err == nil && c.hosts.insecure.allow(parsed.Context().RegistryStr()) {
		parsed, err = name.ParseReference(ref, name.Insecure)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return parsed, nil
}

// parseRepository is parse for a repository.
func (c *Client) parseRepository(doing, repository string) (name.Repository, error) {
	parsed, err := c.parse(doing, repository+":latest")
	if err != nil {
		return name.Repository{}, err
	}
	return parsed.Context(), nil
}
