package config

import (
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// Limits are what the container may use.
type Limits struct {
	CPUs   int   // at least 1
	Memory int64 // bytes; 0 is no limit
}

// ReadLimits reads the limits of the control group from the file system root,
// version 2 first, then version 1; cpus is the number that the machine has. A
// file that is not there or has no number is no limit.
func ReadLimits(root fs.FS, cpus int) Limits {
	return Limits{CPUs: max(1, min(cpus, quota(root))), Memory: memory(root)}
}

func quota(root fs.FS) int {
	var share, period float64
	if f := fields(root, "sys/fs/cgroup/cpu.max"); len(f) == 2 {
		share, period = number(f[0]), number(f[1])
	} else {
		share = number(first(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
		period = number(first(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us"))
	}
	if share <= 0 || period <= 0 {
		return math.MaxInt
	}
	return int(math.Ceil(share / period))
}

func memory(root fs.FS) int64 {
	n := number(first(root, "sys/fs/cgroup/memory.max"))
	if n == 0 {
		n = number(first(root, "sys/fs/cgroup/memory/memory.limit_in_bytes"))
	}
	if n >= 1<<50 { // how version 1 writes "no limit"
		return 0
	}
	return int64(n)
}

func fields(root fs.FS, name string) []string {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

func first(root fs.FS, name string) string {
	if f := fields(root, name); len(f) > 0 {
		return f[0]
	}
	return ""
}

// number returns 0 for "max", "-1" and what is not a number.
func number(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
