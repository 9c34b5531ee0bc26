// Package parallel does things at the same time, so many at once.
package parallel

import "sync"

// Lookups is how many questions are put to registries at once: they wait for
// the network, not for this machine.
const Lookups = 32

// Each calls do with 0 to n-1, at most limit at a time, and returns when all
// are done. A limit below 1 counts as 1.
func Each(n, limit int, do func(i int)) {
	slots := make(chan struct{}, max(1, limit))
	var group sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	group.Wait()
}
