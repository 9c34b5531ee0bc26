package pool

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// pressureWindow is how long CPU use is measured, while more workers are
	// useful. While none is, it is pressureRest, as looking costs CPU itself.
	pressureWindow = 50 * time.Millisecond
	pressureRest   = 500 * time.Millisecond

	// pressureStale is the longest window that says something of now.
	pressureStale = time.Second
)

// pressure knows how much of the CPUs processes ask for: how long their
// threads ran or waited for a CPU. Sleeping and waiting for others is neither.
type pressure struct {
	at   time.Time
	used map[int]time.Duration // by process, since its start
	last int                   // what useful returned
}

// useful says how many workers more can do more, by the demand for CPUs since the
// last look: as many as would take what is left of the CPUs if each asked for
// as much as those that are there. pids are those of the proxy, then workers.
func (m *pressure) useful(pids []int, cpus int, now time.Time) int {
	window := now.Sub(m.at)
	if window < pressureWindow || m.last == 0 && window < pressureRest && len(m.used) == len(pids) {
		return m.last
	}
	before := m.used
	m.at, m.used = now, make(map[int]time.Duration, len(pids))
	var sum time.Duration
	for _, pid := range pids {
		total, ok := cpuTime(pid)
		if !ok {
			continue // it has ended
		}
		m.used[pid] = total
		if old, seen := before[pid]; seen {
			sum += max(0, total-old) // less if a thread has ended
		}
	}
	if m.last = 0; window < pressureStale {
		m.last = share(sum.Seconds()/window.Seconds(), float64(cpus), len(pids)-1)
	}
	return m.last
}

// share is how many workers more make use of the CPUs if that many ask for that
// much.
func share(demand, cpus float64, workers int) int {
	if demand >= cpus {
		return 0
	}
	return int(math.Round(min(float64(max(workers, 1))*(cpus-demand)/max(demand, 1e-3), 1e6)))
}

// cpuTime is the time for which the threads of a process ran or waited for a
// CPU. Facts: Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
func cpuTime(pid int) (time.Duration, bool) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, false
	}
	var sum int64
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range bytes.Fields(data)[:2] {
			n, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return 0, false
			}
			sum += n
		}
	}
	return time.Duration(sum), true
}
