package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/exporter/util/epoch"
	"github.com/moby/buildkit/session"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Exporter returns BuildKit's exporter of this name. Those of images take
// layers that were rewritten for their epoch before from what is kept of them.
func (w *boundedWorker) Exporter(name string, sessions *session.Manager) (exporter.Exporter, error) {
	e, err := w.Worker.Exporter(name, sessions)
	if err != nil {
		return nil, err
	}
	switch name {
	case client.ExporterImage, client.ExporterOCI, client.ExporterDocker:
		return datingExporter{e, w.layers}, nil
	}
	return e, nil
}

type datingExporter struct {
	exporter.Exporter
	layers *layers
}

// Resolve implements exporter.Exporter.
func (e datingExporter) Resolve(ctx context.Context, id int, attrs map[string]string) (exporter.ExporterInstance, error) {
	instance, err := e.Exporter.Resolve(ctx, id, attrs)
	if err != nil {
		return nil, err
	}
	rewrite, err := strconv.ParseBool(attrs[string(exptypes.OptKeyRewriteTimestamp)])
	if err != nil || !rewrite {
		return instance, nil // No error: the option is absent.
	}
	fixed, _, err := epoch.ParseExporterAttrs(attrs)
	if err != nil {
		return nil, err
	}
	return datingInstance{instance, e.layers, fixed}, nil
}

type datingInstance struct {
	exporter.ExporterInstance
	layers *layers
	// fixed is the epoch of the exporter's own options, nil for the build's.
	fixed *epoch.Epoch
}

// Export implements exporter.ExporterInstance.
func (i datingInstance) Export(ctx context.Context, src *exporter.Source, info exporter.ExportBuildInfo) (map[string]string, exporter.FinalizeFunc, exporter.DescriptorReference, error) {
	dated, err := i.date(src)
	if err != nil {
		return nil, nil, nil, err
	}
	return i.ExporterInstance.Export(ctx, dated, info)
}

// date returns the build's results with dated layers, for each platform by the
// epoch and the base image that the exporter will take for it.
func (i datingInstance) date(src *exporter.Source) (*exporter.Source, error) {
	known, err := exptypes.ParsePlatforms(src.Metadata)
	if err != nil {
		return nil, err
	}
	dated := src.Clone()
	for _, p := range known.Platforms {
		if ref := src.Refs[p.ID]; ref != nil {
			if dated.Refs[p.ID], err = i.dateRef(src, ref, &p); err != nil {
				return nil, err
			}
		}
	}
	if src.Ref != nil {
		var p *exptypes.Platform
		if len(known.Platforms) > 0 {
			p = &known.Platforms[0]
		}
		dated.Ref, err = i.dateRef(src, src.Ref, p)
	}
	return dated, err
}

func (i datingInstance) dateRef(src *exporter.Source, ref cache.ImmutableRef, p *exptypes.Platform) (cache.ImmutableRef, error) {
	when, err := i.epoch(src, p)
	if err != nil || when == nil {
		return ref, err
	}
	base, err := baseDiffIDs(exptypes.ParseKey(src.Metadata, exptypes.ExporterImageBaseConfigKey, p))
	if err != nil {
		return nil, err
	}
	return &datedRef{ImmutableRef: ref, layers: i.layers, epoch: *when, base: base}, nil
}

// epoch is found as BuildKit's exporters find it; nil if there is none.
func (i datingInstance) epoch(src *exporter.Source, p *exptypes.Platform) (*time.Time, error) {
	if i.fixed != nil {
		return i.fixed.Value, nil
	}
	if when, err := epoch.ParseSource(src, nil); when != nil || err != nil {
		return when, err
	}
	return epoch.ParseSource(src, p)
}

// baseDiffIDs reads the layers of the base image out of its configuration; an
// image from scratch has none.
func baseDiffIDs(config []byte) ([]digest.Digest, error) {
	if len(config) == 0 {
		return nil, nil
	}
	var image ocispecs.Image
	if err := json.Unmarshal(config, &image); err != nil {
		return nil, fmt.Errorf("reading the base image's configuration: %w", err)
	}
	return image.RootFS.DiffIDs, nil
}
