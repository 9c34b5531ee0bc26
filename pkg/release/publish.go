package release

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/pin"
)

// A Publication moves the version tags of a run's images and writes the pins:
// the last step of a release, which happens as a whole or not at all.
type Publication struct {
	resolver Resolver
	tagger   Tagger
	moves    []move
	pins     *pin.Plan
}

// A move makes a version tag stand for an image of this run.
type move struct {
	ref    string
	digest string
	before string // the digest that the tag had when the run began; "" for none
}

// NewPublication collects what is to be done. The outcomes are all done; pins
// may be nil, for a run that writes none.
func NewPublication(resolver Resolver, tagger Tagger, place string, prepared *build.Prepared, outcomes []build.Outcome, pins *pin.Plan) *Publication {
	p := &Publication{resolver: resolver, tagger: tagger, pins: pins}
	for i, out := range outcomes {
		for _, ref := range out.Target.References(place) {
			before := prepared.Steps[i].Published[ref.String()]
			if before != out.Digest {
				p.moves = append(p.moves, move{ref: ref.String(), digest: out.Digest, before: before})
			}
		}
	}
	return p
}

// Publish moves the tags, then writes the pins. If anything fails, the tags
// that did move are moved back. A tag that did not exist before cannot be
// taken away again by every registry, so it stays; the error says so.
func (p *Publication) Publish(ctx context.Context) error {
	if err := p.unmoved(ctx); err != nil {
		return err
	}
	moved, err := p.moveAll(ctx)
	if err == nil && p.pins != nil {
		err = p.pins.Write()
	}
	if err == nil {
		return nil
	}
	// The run may have been interrupted: going back must not be.
	return errors.Join(err, p.moveBack(context.WithoutCancel(ctx), moved))
}

// unmoved wants every tag to stand where it stood when the run began: one
// that moved meanwhile is somebody else's release.
func (p *Publication) unmoved(ctx context.Context) error {
	return all(ctx, p.moves, func(m move) error {
		descriptor, err := p.resolver.Resolve(ctx, m.ref)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if descriptor.Digest != m.before && descriptor.Digest != m.digest {
			return fmt.Errorf("%s moved during this run, from %s to %s: somebody else releases as well; run again", m.ref, orNone(m.before), orNone(descriptor.Digest))
		}
		return nil
	})
}

func (p *Publication) moveAll(ctx context.Context) (moved []move, err error) {
	var mu sync.Mutex
	err = all(ctx, p.moves, func(m move) error {
		if err := p.tagger.Tag(ctx, m.ref, m.digest); err != nil {
			return fmt.Errorf("moving the tag %s: %w", m.ref, err)
		}
		mu.Lock()
		defer mu.Unlock()
		moved = append(moved, m)
		return nil
	})
	return moved, err
}

func (p *Publication) moveBack(ctx context.Context, moved []move) error {
	return all(ctx, moved, func(m move) error {
		if m.before == "" {
			return fmt.Errorf("the tag %s is new and stays, at %s", m.ref, m.digest)
		}
		if err := p.tagger.Tag(ctx, m.ref, m.before); err != nil {
			return fmt.Errorf("moving the tag %s back to %s: %w", m.ref, m.before, err)
		}
		return nil
	})
}

// all does something for many tags at once and reports all failures.
func all(ctx context.Context, moves []move, do func(move) error) error {
	errs := make([]error, len(moves))
	each(len(moves), func(i int) {
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
