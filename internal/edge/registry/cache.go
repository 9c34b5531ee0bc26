package registry

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/singleflight"
)

// A cache makes one T for each key, once for all who want it at the same time.
// A failure is that of those who waited for it; who comes later has it made anew.
type cache[T comparable] struct {
	flights singleflight.Group
	made    sync.Map // T by key
}

// errAbandoned is what becomes of one whose maker was told to stop: that is
// nothing to the others.
var errAbandoned = errors.New("abandoned")

func (c *cache[T]) get(ctx context.Context, key string, create func() (T, error)) (T, error) {
	var none T
	for {
		flight := c.flights.DoChan(key, func() (any, error) {
			if one, ok := c.peek(key); ok {
				return one, nil
			}
			one, err := create()
			switch {
			case err == nil:
				c.made.Store(key, one)
			case ctx.Err() != nil:
				err = errAbandoned
			}
			return one, err
		})
		select {
		case <-ctx.Done():
			return none, ctx.Err()
		case result := <-flight:
			switch {
			case result.Err == nil:
				return result.Val.(T), nil
			case !errors.Is(result.Err, errAbandoned):
				return none, result.Err
			case ctx.Err() != nil:
				return none, ctx.Err()
			}
		}
	}
}

// peek is what is made already.
func (c *cache[T]) peek(key string) (T, bool) {
	one, ok := c.made.Load(key)
	if !ok {
		var none T
		return none, false
	}
	return one.(T), true
}

func (c *cache[T]) put(key string, one T) { c.made.Store(key, one) }

// forget has another one made in place of one.
func (c *cache[T]) forget(key string, one T) { c.made.CompareAndDelete(key, one) }
