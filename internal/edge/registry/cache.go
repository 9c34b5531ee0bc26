package registry

import (
	"context"
	"sync"

	"golang.org/x/sync/singleflight"
)

// A cache makes one T for each key, once for all who want it at the same time.
// A failure is that of those who waited for it; who comes later has it made anew.
type cache[T comparable] struct {
	flights singleflight.Group
	made    sync.Map // T by key
}

// get is the one that is made, or has create make it. That goes on for the others
// where the first who wants it wants it no more.
func (c *cache[T]) get(ctx context.Context, key string, create func(context.Context) (T, error)) (T, error) {
	flight := c.flights.DoChan(key, func() (any, error) {
		if one, ok := c.made.Load(key); ok {
			return one, nil
		}
		one, err := create(context.WithoutCancel(ctx))
		if err == nil {
			c.made.Store(key, one)
		}
		return one, err
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case result := <-flight:
		return result.Val.(T), result.Err
	}
}

// forget has another one made in place of one.
func (c *cache[T]) forget(key string, one T) { c.made.CompareAndDelete(key, one) }
