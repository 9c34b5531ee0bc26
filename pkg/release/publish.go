package release

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A Publication moves version tags and writes the pins: the last step of a
// release, which happens as a whole or not at all.
type Publication struct {
	resolver reference.Resolver
	tagger   Tagger
	moves    []Move
	pins     *pin.Patch
}

// A Move makes a version tag point to an image.
type Move struct {
	// Ref is the tag's full reference.
	Ref string
	// Digest is the image's.
	Digest string
	// Before is the digest that the tag had when the release began; "" for
	// none.
	Before string
}

// Moves are what a run asks for, whose outcomes are all done: those of the
// tags that did not point to their images when it began.
func Moves(destination string, outcomes []build.Outcome) []Move {
	var moves []Move
	for _, out := range outcomes {
		for _, ref := range out.Target.References(destination) {
			before := out.Published[ref.String()]
			if before != out.Digest {
				moves = append(moves, Move{Ref: ref.String(), Digest: out.Digest, Before: before})
			}
		}
	}
	return moves
}

// NewPublication collects what is to be done; pins may be nil, for a release
// that writes none.
func NewPublication(resolver reference.Resolver, tagger Tagger, moves []Move, pins *pin.Patch) *Publication {
	return &Publication{resolver: resolver, tagger: tagger, moves: moves, pins: pins}
}

// Publish moves the tags, then writes the pins. If anything fails, the tags
// that did move are moved back. A tag that did not exist before cannot be
// taken away again by every registry, so it stays; the error says so. Moved
// are the tags that did not point to their images already.
func (p *Publication) Publish(ctx context.Context) (moved []Move, err error) {
	pending, err := p.Pending(ctx)
	if err != nil {
		return nil, err
	}
	moved, err = p.moveAll(ctx, pending)
	if err == nil && p.pins != nil {
		err = p.pins.Write()
	}
	if err == nil {
		return moved, nil
	}
	// The run may have been interrupted: going back must not be.
	return nil, errors.Join(err, p.moveBack(context.WithoutCancel(ctx), moved))
}

// Pending are the moves of tags that do not point to their images yet. Each
// tag has to point there, or to what it pointed to when the release began: one that
// moved meanwhile is somebody else's release, and an error.
func (p *Publication) Pending(ctx context.Context) ([]Move, error) {
	var mu sync.Mutex
	var pending []Move
	err := all(ctx, p.moves, func(m Move) error {
		descriptor, err := p.resolver.Resolve(ctx, m.Ref)
		if err != nil && !reference.MayBeMissing(err) {
			return err
		}
		switch descriptor.Digest {
		case m.Digest:
			return nil
		case m.Before:
			mu.Lock()
			defer mu.Unlock()
			pending = append(pending, m)
			return nil
		}
		return fmt.Errorf("%s moved during this release, from %s to %s: somebody else releases as well; run again", m.Ref, orNone(m.Before), orNone(descriptor.Digest))
	})
	if err != nil {
		return nil, err
	}
	return pending, nil
}

func (p *Publication) moveAll(ctx context.Context, moves []Move) (moved []Move, err error) {
	var mu sync.Mutex
	err = all(ctx, moves, func(m Move) error {
		if err := p.tagger.Tag(ctx, m.Ref, m.Digest); err != nil {
			return fmt.Errorf("moving the tag %s: %w", m.Ref, err)
		}
		mu.Lock()
		defer mu.Unlock()
		moved = append(moved, m)
		return nil
	})
	return moved, err
}

func (p *Publication) moveBack(ctx context.Context, moved []Move) error {
	return all(ctx, moved, func(m Move) error {
		if m.Before == "" {
			return fmt.Errorf("the tag %s is new and stays, at %s", m.Ref, m.Digest)
		}
		if err := p.tagger.Tag(ctx, m.Ref, m.Before); err != nil {
			return fmt.Errorf("moving the tag %s back to %s: %w", m.Ref, m.Before, err)
		}
		return nil
	})
}

// all does something for many tags at once and reports all failures.
func all(ctx context.Context, moves []Move, do func(Move) error) error {
	errs := make([]error, len(moves))
	parallel.Each(len(moves), parallel.Lookups, func(i int) {
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = do(moves[i])
		}
	})
	return errors.Join(errs...)
}

func orNone(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}
