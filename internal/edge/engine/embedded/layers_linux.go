package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/labels"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/buildkit/cache"
	cacheconfig "github.com/moby/buildkit/cache/config"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/compression"
	"github.com/moby/buildkit/util/contentutil"
	"github.com/moby/buildkit/util/converter"
	"github.com/moby/buildkit/util/flightcontrol"
	"github.com/moby/buildkit/util/leaseutil"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

const (
	// rewrittenMark is the annotation by which BuildKit's image exporters know
	// that a layer was rewritten for the epoch in it, in seconds, and leave it
	// alone. It is a label of the blob, too.
	rewrittenMark = "buildkit/rewritten-timestamp"
	// rewrittenLabel and an epoch in seconds are the label of a blob that names
	// the blob rewritten from it for that epoch.
	rewrittenLabel = "dev.rtbuild.rewritten."
)

// layers keeps the layers that were rewritten for an epoch beside those that
// they were made from. BuildKit's exporters rewrite each layer in each export
// and keep nothing of it, so that an image of which one small layer changed
// takes as long as one of which all did.
//
// A kept layer belongs to the cache record of its snapshot, and goes with it.
type layers struct {
	blobs   content.Store
	leases  *leaseutil.Manager
	flights flightcontrol.Group[ocispecs.Descriptor]
}

// datedRef is a build's result whose layers have no time after an epoch.
type datedRef struct {
	cache.ImmutableRef
	layers *layers
	epoch  time.Time
	// base are the layers of the base image, lowest first, by the digests of
	// their contents. They stay as they are.
	base []digest.Digest
}

// GetRemotes returns the layers as they are exported: those that are not of the
// base rewritten, and marked so that the exporter does not do it again.
func (r *datedRef) GetRemotes(ctx context.Context, create bool, cfg cacheconfig.RefConfig, all bool, s session.Group) ([]*solver.Remote, error) {
	remotes, err := r.ImmutableRef.GetRemotes(ctx, create, cfg, all, s)
	if err != nil || cfg.Compression.Type != compression.Default || cfg.Compression.Level != nil {
		return remotes, err // A kept layer is compressed as by default.
	}
	dated := slices.Clone(remotes)
	for i, remote := range remotes {
		if dated[i], err = r.date(ctx, remote, cfg.Compression); err != nil {
			return nil, fmt.Errorf("bounding the times of files in layers by %s: %w", r.epoch.UTC().Format(time.RFC3339), err)
		}
	}
	return dated, nil
}

// date returns a remote with the image's own layers rewritten.
func (r *datedRef) date(ctx context.Context, remote *solver.Remote, comp compression.Config) (*solver.Remote, error) {
	chain := r.LayerChain()
	defer func() { _ = chain.Release(context.WithoutCancel(ctx)) }() // The result itself holds them as well.
	if len(chain) != len(remote.Descriptors) {
		return remote, nil // The exporter will do it, as ever.
	}
	dated := slices.Clone(remote.Descriptors)
	provider := contentutil.NewMultiProvider(remote.Provider)
	group, ctx := errgroup.WithContext(ctx)
	for i := baseLayers(remote.Descriptors, r.base); i < len(dated); i++ {
		group.Go(func() error {
			desc, err := r.layers.rewrite(ctx, chain[i].ID(), dated[i], remote.Provider, comp, r.epoch)
			if err != nil {
				return err
			}
			if desc.Digest != dated[i].Digest {
				provider.Add(desc.Digest, r.layers.blobs)
			}
			dated[i] = desc
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &solver.Remote{Descriptors: dated, Provider: datedProvider{provider, remote.Provider}}, nil
}

// baseLayers returns how many of the lowest layers are the base image's, by the
// rule of BuildKit's exporters, which do not rewrite them either.
func baseLayers(descs []ocispecs.Descriptor, base []digest.Digest) int {
	for i, desc := range descs {
		if i == len(base) || digest.Digest(desc.Annotations[labels.LabelUncompressed]) != base[i] {
			return i
		}
	}
	return len(descs)
}

// datedProvider reads kept layers from the engine's store, and fetches the
// others where they are not there yet.
type datedProvider struct {
	*contentutil.MultiProvider
	origin content.InfoReaderProvider
}

// Unlazy implements cache.Unlazier.
func (p datedProvider) Unlazy(ctx context.Context) error {
	if u, ok := p.origin.(cache.Unlazier); ok {
		return u.Unlazy(ctx)
	}
	return nil
}

// rewrite returns the layer of a cache record rewritten for an epoch: the one that
// is kept, or a new one. Builds that want the same at once make it once.
//
// Where the layer is kept, nothing is written: each write to these stores waits
// for the disk.
func (l *layers) rewrite(ctx context.Context, record string, desc ocispecs.Descriptor, from content.Provider, comp compression.Config, epoch time.Time) (ocispecs.Descriptor, error) {
	seconds := strconv.FormatInt(epoch.Unix(), 10)
	return l.flights.Do(ctx, record+"@"+desc.Digest.String()+"@"+seconds, func(ctx context.Context) (ocispecs.Descriptor, error) {
		kept, ok, err := l.find(ctx, desc, seconds)
		if err != nil {
			return ocispecs.Descriptor{}, err
		}
		if ok {
			return kept, l.hold(ctx, record, kept)
		}
		ctx, release, err := leaseutil.WithLease(ctx, l.leases, leaseutil.MakeTemporary)
		if err != nil {
			return ocispecs.Descriptor{}, err
		}
		defer func() { _ = release(context.WithoutCancel(ctx)) }() // Such a lease ends by itself, too.
		store := contentutil.NewStoreWithProvider(l.blobs, from)
		convert, err := converter.NewWithRewriteTimestamp(ctx, store, desc, comp, &epoch, nil)
		if err != nil || convert == nil {
			return desc, err // Nil where it is marked already.
		}
		made, err := convert(ctx, store, desc)
		if err != nil {
			return ocispecs.Descriptor{}, err
		}
		return *made, errors.Join(l.hold(ctx, record, *made), l.note(ctx, desc, *made, seconds))
	})
}

// find returns the layer that is kept for an epoch, if there is one.
func (l *layers) find(ctx context.Context, desc ocispecs.Descriptor, seconds string) (_ ocispecs.Descriptor, ok bool, _ error) {
	origin, err := l.info(ctx, desc.Digest)
	if err != nil || origin.Labels[rewrittenLabel+seconds] == "" {
		return ocispecs.Descriptor{}, false, err
	}
	kept, err := l.info(ctx, digest.Digest(origin.Labels[rewrittenLabel+seconds]))
	// Its own mark does not matter: it is missing where no time was after the
	// epoch, and another's where several layers became the same one.
	if err != nil || kept.Labels[labels.LabelUncompressed] == "" {
		return ocispecs.Descriptor{}, false, err
	}
	return ocispecs.Descriptor{
		MediaType: compression.Default.MediaType(),
		Digest:    kept.Digest,
		Size:      kept.Size,
		Annotations: map[string]string{
			labels.LabelUncompressed: kept.Labels[labels.LabelUncompressed],
			rewrittenMark:            seconds,
		},
	}, true, nil
}

// info returns what the store knows of a blob: nothing, if it has none.
func (l *layers) info(ctx context.Context, blob digest.Digest) (content.Info, error) {
	info, err := l.blobs.Info(ctx, blob)
	if cerrdefs.IsNotFound(err) {
		return content.Info{}, nil
	}
	return info, err
}

// note writes down which layer was made of one, and the digest of its contents
// where that is missing: a blob that was there already, as where no time was after
// the epoch, may lack it.
func (l *layers) note(ctx context.Context, origin, made ocispecs.Descriptor, seconds string) error {
	info, err := l.info(ctx, made.Digest)
	if err == nil && info.Labels[labels.LabelUncompressed] == "" {
		err = l.label(ctx, made.Digest, labels.LabelUncompressed, made.Annotations[labels.LabelUncompressed])
	}
	if err != nil {
		return err
	}
	return l.label(ctx, origin.Digest, rewrittenLabel+seconds, made.Digest.String())
}

func (l *layers) label(ctx context.Context, blob digest.Digest, label, value string) error {
	_, err := l.blobs.Update(ctx, content.Info{Digest: blob, Labels: map[string]string{label: value}}, "labels."+label)
	return err
}

// hold keeps a layer's blob for as long as the cache keeps this record.
func (l *layers) hold(ctx context.Context, record string, desc ocispecs.Descriptor) error {
	lease, resource := leases.Lease{ID: record}, leases.Resource{ID: desc.Digest.String(), Type: "content"}
	held, err := l.leases.ListResources(ctx, lease)
	if err == nil && !slices.Contains(held, resource) {
		err = l.leases.AddResource(ctx, lease, resource)
	}
	if err != nil && !cerrdefs.IsAlreadyExists(err) {
		return fmt.Errorf("keeping layer %s: %w", desc.Digest, err)
	}
	return nil
}

// size returns how many bytes the kept layers take beside those that they were
// made from.
func (l *layers) size(ctx context.Context) (int64, error) {
	var total int64
	err := l.blobs.Walk(ctx, func(info content.Info) error {
		total += info.Size
		return nil
	}, fmt.Sprintf("labels.%q", rewrittenMark))
	return total, err
}
