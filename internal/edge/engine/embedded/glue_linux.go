package embedded

// How BuildKit's server packages fit together is in this file. They promise no
// stable API: expect to revisit it with every new version of BuildKit.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/diff/apply"
	ctdmetadata "github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/diff/walking"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/containerd/platforms"
	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/cache/contenthash"
	"github.com/moby/buildkit/cache/metadata"
	"github.com/moby/buildkit/cache/remotecache"
	inlinecache "github.com/moby/buildkit/cache/remotecache/inline"
	localcache "github.com/moby/buildkit/cache/remotecache/local"
	registrycache "github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/executor/resources"
	"github.com/moby/buildkit/executor/runcexecutor"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	dockerfileversion "github.com/moby/buildkit/frontend/dockerfile/version"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	containerdsnapshot "github.com/moby/buildkit/snapshot/containerd"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/leaseutil"
	"github.com/moby/buildkit/util/network"
	"github.com/moby/buildkit/util/winlayers"
	"github.com/moby/buildkit/version"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	workerlabel "github.com/moby/buildkit/worker/label"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	bolt "go.etcd.io/bbolt"
)

// namespace separates BuildKit's records inside containerd's stores. BuildKit
// uses this name throughout, so another would not do.
const namespace = "buildkit"

// builder puts an engine together and notes in closers how to take it apart.
type builder struct {
	root    string
	hosts   docker.RegistryHosts
	closers *closers
}

// controller is the part of BuildKit that answers the client's calls.
func (b *builder) controller(ctx context.Context) (*control.Controller, error) {
	w, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	gatewayFrontend, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, err
	}
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	cacheKeys, err := bboltcachestorage.NewStore(filepath.Join(b.root, "cache.db"))
	if err != nil {
		return nil, err
	}
	b.closers.add(cacheKeys.Close)
	history, err := boltutil.SafeOpen(filepath.Join(b.root, "history.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	b.closers.add(history.Close)
	stopping := make(chan struct{})
	noHistory := int64(0) // Nothing here reads records of past builds.
	controller, err := control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build),
			"gateway.v0":    gatewayFrontend,
		},
		CacheManager: solver.NewCacheManager(ctx, "local", cacheKeys, worker.NewCacheResultStorage(workers)),
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{
			"registry": registrycache.ResolveCacheExporterFunc(sessions, b.hosts),
			"local":    localcache.ResolveCacheExporterFunc(sessions),
			"inline":   inlinecache.ResolveCacheExporterFunc(),
		},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{
			"registry": registrycache.ResolveCacheImporterFunc(sessions, w.ContentStore(), b.hosts),
			"local":    localcache.ResolveCacheImporterFunc(sessions),
		},
		HistoryDB:      history,
		HistoryConfig:  &config.HistoryConfig{MaxEntries: &noHistory},
		CacheStore:     cacheKeys,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   stopping,
	})
	if err != nil {
		return nil, err
	}
	b.closers.add(func() error {
		close(stopping)
		return errors.Join(w.stop(), forgetHashes(w.MetadataStore), controller.Close())
	})
	return controller, nil
}

// stores is where a worker keeps layers, blobs and what it knows of them.
type stores struct {
	folder      string
	snapshotter string // Its name.
	meta        *ctdmetadata.DB
	records     *metadata.Store
}

func (b *builder) stores(ctx context.Context) (*stores, error) {
	name, newSnapshotter := chooseSnapshotter(b.root)
	folder := workerFolder(b.root, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	layers := filepath.Join(folder, "snapshots")
	if err := removeStrays(ctx, layers); err != nil {
		return nil, err
	}
	snapshotter, err := newSnapshotter(layers)
	if err != nil {
		return nil, err
	}
	b.closers.add(snapshotter.Close)
	blobs, err := local.NewStore(filepath.Join(folder, "content"))
	if err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(folder, "containerdmeta.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	meta := ctdmetadata.NewDB(db, blobs, map[string]snapshots.Snapshotter{name: snapshotter})
	b.closers.add(meta.Close)
	if err := meta.Init(ctx); err != nil {
		return nil, err
	}
	records, err := metadata.NewStore(filepath.Join(folder, "metadata_v2.db"))
	if err != nil {
		return nil, err
	}
	b.closers.add(records.Close)
	return &stores{folder: folder, snapshotter: name, meta: meta, records: records}, nil
}

// worker is the part of BuildKit that runs steps and keeps their results.
func (b *builder) worker(ctx context.Context) (*boundedWorker, error) {
	s, err := b.stores(ctx)
	if err != nil {
		return nil, err
	}
	id, err := base.ID(s.folder)
	if err != nil {
		return nil, err
	}
	steps, err := newSteps(filepath.Join(s.folder, executorFolder))
	if err != nil {
		return nil, err
	}
	limit, err := cacheLimit(b.root)
	if err != nil {
		return nil, err
	}
	content := containerdsnapshot.NewContentStore(s.meta.ContentStore(), namespace)
	w, err := base.NewWorker(ctx, base.WorkerOpt{
		ID:   id,
		Root: s.folder,
		Labels: map[string]string{
			workerlabel.Executor:       "oci",
			workerlabel.Snapshotter:    s.snapshotter,
			workerlabel.Network:        "host",
			workerlabel.OCIProcessMode: oci.ProcessSandbox.String(),
		},
		Platforms: []ocispecs.Platform{platforms.Normalize(platforms.DefaultSpec())},
		GCPolicy:  limit,
		BuildkitVersion: client.BuildkitVersion{
			Package:           version.Package,
			Version:           version.Version,
			Revision:          version.Revision,
			DockerfileVersion: dockerfileversion.Version(),
		},
		NetworkProviders: networks(),
		Executor:         steps,
		Snapshotter:      containerdsnapshot.NewSnapshotter(s.snapshotter, s.meta.Snapshotter(s.snapshotter), namespace, nil),
		ContentStore:     content,
		// These wrappers are for Docker's zstd layers too, despite their name.
		Applier:        winlayers.NewFileSystemApplierWithWindows(content, apply.NewFileSystemApplier(content)),
		Differ:         winlayers.NewWalkingDiffWithWindows(content, walking.NewWalkingDiff(content)),
		RegistryHosts:  b.hosts,
		LeaseManager:   leaseutil.WithNamespace(ctdmetadata.NewLeaseManager(s.meta), namespace),
		GarbageCollect: s.meta.GarbageCollect,
		MetadataStore:  s.records,
		MountPoolRoot:  filepath.Join(s.folder, mountPoolFolder),
	})
	if err != nil {
		return nil, err
	}
	return &boundedWorker{Worker: w, steps: steps, layers: &layers{blobs: content, leases: w.LeaseManager()}}, nil
}

// forgetHashes drops what BuildKit remembers, per process, of the contents of
// these records: it holds on to the store, and would use it when it is closed
// and another engine of this process has opened it again.
func forgetHashes(records *metadata.Store) error {
	items, err := records.All()
	if err != nil {
		return fmt.Errorf("listing the build cache: %w", err)
	}
	for _, item := range items {
		contenthash.ClearCacheContext(recordID{id: item.ID()})
	}
	return nil
}

// recordID is a record of which only the ID is known.
type recordID struct {
	cache.RefMetadata
	id string
}

// ID names the record in the metadata store.
func (r recordID) ID() string { return r.id }

// chooseSnapshotter takes overlayfs where the file system of root can carry one
// (it cannot when it is an overlay itself, as inside many containers), and else
// plain copies, which work everywhere but are slower and take more space.
func chooseSnapshotter(root string) (string, func(root string) (snapshots.Snapshotter, error)) {
	if err := overlayutils.Supported(root); err != nil {
		logrus.Infof("build layers in %s are kept as plain copies: %v", root, err)
		return "native", native.NewSnapshotter
	}
	return "overlayfs", func(root string) (snapshots.Snapshotter, error) {
		return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
	}
}

func networks() map[pb.NetMode]network.Provider {
	host := network.NewHostProvider()
	return map[pb.NetMode]network.Provider{
		pb.NetMode_UNSET: host,
		pb.NetMode_HOST:  host,
		pb.NetMode_NONE:  network.NewNoneProvider(),
	}
}

// newRunc returns the executor that runs steps in runc containers.
func newRunc(folder string) (executor.Executor, error) {
	monitor, err := resources.NewMonitor()
	if err != nil {
		return nil, err
	}
	// A closed monitor takes no samples, which nothing here reads, and makes the
	// executor delete a container before it calls the step done, not later.
	if err := monitor.Close(); err != nil {
		return nil, err
	}
	return runcexecutor.New(runcexecutor.Opt{
		Root:              folder,
		CommandCandidates: []string{runcBinary},
		ProcessMode:       oci.ProcessSandbox,
		ResourceMonitor:   monitor,
	}, networks())
}
