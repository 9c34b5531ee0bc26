package pool

import (
	"os"
	"testing"
)

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		name         string
		demand, cpus float64
		workers      int
		want         int
	}{
		{"the CPUs are taken", 2, 2, 2, 0},
		{"more is asked for than there is", 5.5, 2, 6, 0},
		{"half is left", 1, 2, 1, 1},
		{"nearly nothing is left", 1.9, 2, 2, 0},
		{"workers that mostly wait", 0.5, 2, 4, 12},
		{"no worker yet", 0.1, 2, 0, 19},
	} {
		if got := share(tt.demand, tt.cpus, tt.workers); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := share(0, 2, 1); got < 1000 {
		t.Errorf("nothing asks for a CPU: %d", got)
	}
}

func TestCPUTimeGrowsWithUse(t *testing.T) {
	before, ok := cpuTime(os.Getpid())
	if !ok {
		t.Skip("the kernel does not tell")
	}
	for { // until it counts, or the test's time is up
		if after, _ := cpuTime(os.Getpid()); after > before {
			return
		}
	}
}
