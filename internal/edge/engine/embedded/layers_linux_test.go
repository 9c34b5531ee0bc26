package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	ctdmetadata "github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	containerdsnapshot "github.com/moby/buildkit/snapshot/containerd"
	"github.com/moby/buildkit/util/compression"
	"github.com/moby/buildkit/util/leaseutil"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// record is a cache record that layers may belong to.
const record = "record"

// newLayers returns a store, and how to remove a blob from it, which BuildKit
// leaves to garbage collection.
func newLayers(t *testing.T) (_ *layers, forget func(context.Context, digest.Digest) error) {
	t.Helper()
	blobs, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "meta.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	meta := ctdmetadata.NewDB(db, blobs, nil)
	t.Cleanup(func() {
		if err := meta.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := meta.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := &layers{
		blobs:  containerdsnapshot.NewContentStore(meta.ContentStore(), namespace),
		leases: leaseutil.WithNamespace(ctdmetadata.NewLeaseManager(meta), namespace),
	}
	if _, err := l.leases.Create(t.Context(), leases.WithID(record)); err != nil {
		t.Fatal(err)
	}
	return l, func(ctx context.Context, blob digest.Digest) error {
		return meta.ContentStore().Delete(namespaces.WithNamespace(ctx, namespace), blob)
	}
}

// addLayer stores a layer of one file of a time.
func addLayer(t *testing.T, l *layers, when time.Time) ocispecs.Descriptor {
	t.Helper()
	var plain, packed bytes.Buffer
	archive := tar.NewWriter(&plain)
	if err := archive.WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg, ModTime: when, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	diffID := digest.FromBytes(plain.Bytes()).String()
	zip := gzip.NewWriter(&packed)
	if _, err := plain.WriteTo(zip); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	desc := ocispecs.Descriptor{
		MediaType:   ocispecs.MediaTypeImageLayerGzip,
		Digest:      digest.FromBytes(packed.Bytes()),
		Size:        int64(packed.Len()),
		Annotations: map[string]string{labels.LabelUncompressed: diffID},
	}
	if err := content.WriteBlob(t.Context(), l.blobs, desc.Digest.String(), &packed, desc); err != nil {
		t.Fatal(err)
	}
	return desc
}

func TestRewriteLayer(t *testing.T) {
	l, _ := newLayers(t)
	epoch := time.Unix(1_000_000_000, 0)
	for name, test := range map[string]struct{ when, want time.Time }{
		"after":  {epoch.Add(time.Hour), epoch},
		"before": {epoch.Add(-time.Hour), epoch.Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			origin := addLayer(t, l, test.when)
			comp := compression.New(compression.Default)
			made, err := l.rewrite(t.Context(), record, origin, l.blobs, comp, epoch)
			if err != nil {
				t.Fatal(err)
			}
			if got := timeOfFile(t, l, made); !got.Equal(test.want) {
				t.Errorf("the file is of %v, want %v", got, test.want)
			}
			if made.Annotations[rewrittenMark] != "1000000000" {
				t.Errorf("the layer is not marked: %v", made.Annotations)
			}
			kept, ok, err := l.find(t.Context(), origin, "1000000000")
			if err != nil || !ok || kept.Digest != made.Digest || kept.Size != made.Size || kept.MediaType != made.MediaType ||
				kept.Annotations[labels.LabelUncompressed] != made.Annotations[labels.LabelUncompressed] || kept.Annotations[rewrittenMark] != "1000000000" {
				t.Errorf("kept is %+v (%v, %v), made was %+v", kept, ok, err, made)
			}
			if _, ok, err := l.find(t.Context(), origin, "1000000001"); ok || err != nil {
				t.Errorf("for another epoch: %v, %v", ok, err)
			}
			if again, err := l.rewrite(t.Context(), record, made, l.blobs, comp, epoch); err != nil || again.Digest != made.Digest {
				t.Errorf("rewritten once more: %+v, %v", again, err)
			}
		})
	}
	var want int64
	if err := l.blobs.Walk(t.Context(), func(info content.Info) error {
		if info.Labels[rewrittenMark] != "" {
			want += info.Size
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := l.size(t.Context()); err != nil || got != want || got == 0 {
		t.Errorf("the kept layers take %d bytes (%v), want %d", got, err, want)
	}
}

// A blob that is gone is made again.
func TestRewrittenLayerIsGone(t *testing.T) {
	l, forget := newLayers(t)
	epoch := time.Unix(1_000_000_000, 0)
	origin := addLayer(t, l, epoch.Add(time.Hour))
	for range 2 {
		made, err := l.rewrite(t.Context(), record, origin, l.blobs, compression.New(compression.Default), epoch)
		if err != nil {
			t.Fatal(err)
		}
		if err := forget(t.Context(), made.Digest); err != nil {
			t.Fatal(err)
		}
	}
}

func timeOfFile(t *testing.T, l *layers, desc ocispecs.Descriptor) time.Time {
	t.Helper()
	data, err := content.ReadBlob(t.Context(), l.blobs, desc)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	header, err := tar.NewReader(plain).Next()
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return header.ModTime
}

func TestBaseLayers(t *testing.T) {
	chain := func(names ...string) (descs []ocispecs.Descriptor) {
		for _, name := range names {
			descs = append(descs, ocispecs.Descriptor{Annotations: map[string]string{labels.LabelUncompressed: name}})
		}
		return descs
	}
	for _, test := range []struct {
		name  string
		descs []ocispecs.Descriptor
		base  []digest.Digest
		want  int
	}{
		{"from scratch", chain("a", "b"), nil, 0},
		{"on a base", chain("a", "b", "c"), []digest.Digest{"a", "b"}, 2},
		{"nothing of its own", chain("a", "b"), []digest.Digest{"a", "b"}, 2},
		{"base with more", chain("a"), []digest.Digest{"a", "b"}, 1},
		{"another base", chain("x", "b"), []digest.Digest{"a", "b"}, 0},
		{"contents not known", chain("a", ""), []digest.Digest{"a", "b"}, 1},
	} {
		if got := baseLayers(test.descs, test.base); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
