package release

import "sync"

// resolveJobs is how many questions are put to registries at once: they wait
// for the network, not for this machine.
const resolveJobs = 32

// each calls do with 0 to n-1, resolveJobs at a time, and returns when all
// are done.
func each(n int, do func(i int)) {
	slots := make(chan struct{}, resolveJobs)
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
