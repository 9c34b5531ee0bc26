package containers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A Draft is a function whose author works on it: it is deployed again and
// again, as fast as can be, and goes when it is closed. It is for one
// goroutine.
type Draft struct {
	// Local is where it lives.
	Local *Local
	At    function.Placing
	// Output takes what the function prints, whole lines or not.
	Output io.Writer

	current *generation
	front   Kept
	images  Images
	// ending are the generations that answer their last calls.
	ending sync.WaitGroup
}

// Replace deploys the function as it is now. Where only files changed, of a
// language that is not compiled, they are changed in the volume: nothing is
// installed again. After an error the last version that worked answers, from
// the files as they are now.
func (d *Draft) Replace(ctx context.Context, f *function.Function) (function.Status, error) {
	if err := f.Check(); err != nil {
		return function.Status{}, err
	}
	if d.images == nil {
		images, err := FindImages(ctx, d.Local.Host, f.Runtime)
		if err != nil {
			return function.Status{}, err
		}
		d.images = images
	}
	g := &generation{local: d.Local, f: f, images: d.images, name: newGeneration(), began: time.Now()}
	err := d.start(ctx, g)
	if err == nil {
		d.front, err = d.Local.turn(ctx, g, d.front, d.At)
	}
	if err != nil {
		return function.Status{}, errors.Join(err, g.remove(ctx), d.Local.leave(ctx, f.Namespace))
	}
	d.follow(ctx, g.server)
	if last := d.current; last != nil {
		d.ending.Go(func() { d.end(ctx, last) })
	}
	d.current = g
	return g.status(d.front), nil
}

// start starts a generation, on the volume of the last one if that will do.
func (d *Draft) start(ctx context.Context, g *generation) error {
	if d.current == nil || !onlyFilesChanged(d.current.f, g.f) {
		return g.start(ctx)
	}
	changed := changes(d.current.f.Volume(), g.f.Volume())
	if err := d.current.server.Write(ctx, function.VolumePath, changed); err != nil {
		return err
	}
	labels, err := labelsOf(g.f, serverPart, g.name)
	if err != nil {
		return err
	}
	prepared := *d.current.prepared
	prepared.Function, prepared.labels = g.f, labels
	g.volumes, d.current.volumes = d.current.volumes, nil
	if err := g.launch(ctx, &prepared); err != nil {
		g.volumes, d.current.volumes = nil, g.volumes
		d.current.f = g.f // what the volume has
		return err
	}
	return nil
}

// onlyFilesChanged tells whether a function of an interpreted language has the
// same dependencies and all of the files of before.
func onlyFilesChanged(before, now *function.Function) bool {
	kept := func(file function.File) bool { return now.Source.Has(file.Name) }
	same := before.Handler == now.Handler && bytes.Equal(before.Dependencies, now.Dependencies) && slices.Equal(before.Env, now.Env) && maps.Equal(before.Labels, now.Labels)
	if !same || now.Runtime.Phase(manifest.Compilation) != nil || before.Source.Bundle != now.Source.Bundle {
		return false
	}
	if !now.Source.Bundle {
		return true
	}
	depends := func(files []function.File) []byte {
		for _, file := range files {
			if file.Name == now.Runtime.DepName {
				return file.Content
			}
		}
		return nil
	}
	return bytes.Equal(depends(before.Source.Files), depends(now.Source.Files)) && !slices.ContainsFunc(before.Source.Files, func(file function.File) bool { return !kept(file) })
}

// changes are the files that are new or not what they were.
func changes(before, now []function.File) []function.File {
	were := map[string]function.File{}
	for _, file := range before {
		were[file.Name] = file
	}
	return slices.DeleteFunc(now, func(file function.File) bool {
		was, ok := were[file.Name]
		return ok && bytes.Equal(was.Content, file.Content) && was.Executable == file.Executable && was.Link == file.Link
	})
}

// follow copies what a generation prints until it ends.
func (d *Draft) follow(ctx context.Context, server Kept) {
	if d.Output == nil {
		return
	}
	d.ending.Go(func() {
		if err := server.Follow(ctx, true, d.Output); err != nil && ctx.Err() == nil {
			d.Local.say("reading the log: %v", err)
		}
	})
}

// end ends a generation that gets no more calls.
func (d *Draft) end(ctx context.Context, g *generation) {
	// What fails here is tried again when the draft is closed.
	_ = g.server.Stop(ctx, drain+time.Second)
	_ = g.remove(ctx)
}

// Close removes all of the draft, also when ctx has ended.
func (d *Draft) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	var errs []error
	if d.current != nil {
		errs = append(errs, d.Local.discard(ctx, d.current.f.Namespace, d.current.f.Name))
	}
	d.ending.Wait()
	return errors.Join(errs...)
}
