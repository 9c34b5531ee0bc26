package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/executor"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/disk"
	"github.com/moby/buildkit/worker/base"
)

// Folders of a worker. Clearing leftovers looks only below these two.
const (
	executorFolder  = "executor"
	mountPoolFolder = "cachemounts"
)

// workerFolder is where a worker keeps its state; the snapshots of one
// snapshotter are of no use to another.
func workerFolder(root, snapshotter string) string {
	return filepath.Join(root, "runc-"+snapshotter)
}

// The cache's bound, see [Config].
const (
	maxCacheBytes   = 10 * 1000 * 1000 * 1000
	maxCachePercent = 20
	// pruneTimeout bounds how long Close deletes what is over the bound. What
	// it leaves is the next one's.
	pruneTimeout = time.Minute
)

// cacheLimit returns the rules that keep the cache under its bound: what is
// quick to make again goes first, what BuildKit holds for itself last.
func cacheLimit(root string) ([]client.PruneInfo, error) {
	stat, err := disk.GetDiskStat(root)
	if err != nil {
		return nil, fmt.Errorf("reading the size of the disk under %s: %w", root, err)
	}
	limit := min(int64(maxCacheBytes), stat.Total/100*maxCachePercent)
	return []client.PruneInfo{
		{
			Filter:       []string{"type==source.local", "type==exec.cachemount", "type==source.git.checkout"},
			KeepDuration: 48 * time.Hour,
			MaxUsedSpace: limit / 4,
		},
		{MaxUsedSpace: limit},
		{MaxUsedSpace: limit, All: true},
	}, nil
}

// boundedWorker is a worker that keeps its cache under a bound, and whose
// garbage collection ends with the engine. BuildKit's controller collects by
// timers that cannot be stopped: one a second after each build, which a process
// of one build does not live to see, and which may come when the stores are
// closed.
type boundedWorker struct {
	*base.Worker
	steps  *steps
	layers *layers

	mu      sync.RWMutex // Held for reading while pruning.
	stopped bool
}

// Prune removes records from the cache, unless the engine is stopping.
func (w *boundedWorker) Prune(ctx context.Context, removed chan client.UsageInfo, rules ...client.PruneInfo) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.stopped {
		return errStopped
	}
	return w.Worker.Prune(ctx, removed, rules...)
}

// GCPolicy returns the rules the controller's own garbage collection follows.
func (w *boundedWorker) GCPolicy() []client.PruneInfo {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.stopped {
		return nil
	}
	return w.Worker.GCPolicy()
}

var errStopped = errors.New("the build engine is stopping")

// stop waits for running steps to end and brings the cache under its bound a
// last time.
func (w *boundedWorker) stop() error {
	w.steps.stop()
	err := w.enforceLimit()
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	return err
}

func (w *boundedWorker) enforceLimit() error {
	ctx, cancel := context.WithTimeout(context.Background(), pruneTimeout)
	defer cancel()
	// A look first: pruning writes to the disk even when nothing is to go.
	usage, err := w.DiskUsage(ctx, client.DiskUsageInfo{})
	if err != nil {
		return fmt.Errorf("measuring the build cache: %w", err)
	}
	// BuildKit does not count these, which go with its records.
	kept, err := w.layers.size(ctx)
	if err != nil {
		return fmt.Errorf("measuring the build cache: %w", err)
	}
	used := kept
	for _, record := range usage {
		used += record.Size
	}
	rules := slices.Clone(w.GCPolicy())
	if used <= rules[len(rules)-1].MaxUsedSpace {
		return nil
	}
	for i := range rules {
		rules[i].MaxUsedSpace = max(rules[i].MaxUsedSpace-kept, 1) // 0 is no bound.
	}
	removed := make(chan client.UsageInfo)
	go func() {
		for range removed { // Nobody asks which records went.
		}
	}()
	defer close(removed)
	if err := w.Prune(ctx, removed, rules...); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("removing old records from the build cache: %w", err)
	}
	return nil
}

// steps runs the processes of RUN steps in the host's network.
type steps struct {
	executor.Executor

	mu      sync.RWMutex // Held for reading while a step runs.
	stopped bool
}

func newSteps(folder string) (*steps, error) {
	runc, err := newRunc(folder)
	if err != nil {
		return nil, err
	}
	return &steps{Executor: runc}, nil
}

// Run runs a step in a new container and returns when it has ended.
func (s *steps) Run(ctx context.Context, id string, root executor.Mount, mounts []executor.Mount, process executor.ProcessInfo, started chan<- struct{}) (resourcestypes.Recorder, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.stopped {
		return nil, errStopped
	}
	// The network is the host's either way. Said openly, the step also gets the
	// host's resolv.conf as it is, where BuildKit would otherwise put public DNS
	// servers in place of a resolver on loopback, which can be reached here.
	if process.Meta.NetMode == pb.NetMode_UNSET {
		process.Meta.NetMode = pb.NetMode_HOST
	}
	return s.Executor.Run(ctx, id, root, mounts, process, started)
}

// stop waits for running steps to end and refuses new ones.
func (s *steps) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}
