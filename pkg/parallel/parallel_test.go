package parallel_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/parallel"
)

func TestEach(t *testing.T) {
	for _, test := range []struct{ n, limit, most int }{
		{0, 4, 0}, {1, 4, 1}, {50, 4, 4}, {5, 1, 1}, {5, 0, 1},
	} {
		var mu sync.Mutex
		done := make([]int, test.n)
		running, most := 0, 0
		parallel.Each(test.n, test.limit, func(i int) {
			mu.Lock()
			running++
			most = max(most, running)
			done[i]++
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
			running--
			mu.Unlock()
		})
		for i, times := range done {
			if times != 1 {
				t.Errorf("%+v: %d was done %d times", test, i, times)
			}
		}
		if most > test.most || running != 0 {
			t.Errorf("%+v: %d at once, %d left running", test, most, running)
		}
	}
}

// As many as the limit do run at once: each of them waits for all others.
func TestEachAtOnce(*testing.T) {
	const n = 3
	var arrived atomic.Int32
	all := make(chan struct{})
	parallel.Each(n, n, func(int) {
		if arrived.Add(1) == n {
			close(all)
		}
		<-all
	})
}
