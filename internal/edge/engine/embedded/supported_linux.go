package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Supported returns nil where [Start] can work: on Linux, as root with the
// right to mount file systems, with runc on PATH and cgroups that can be
// written. The error names everything that is missing and how to get it.
func Supported() error {
	var missing []error
	if uid := os.Geteuid(); uid != 0 {
		missing = append(missing, fmt.Errorf("it needs root, not user %d: run as root, for example with sudo", uid))
	} else if err := mayMount(); err != nil {
		missing = append(missing, err)
	}
	if _, err := exec.LookPath(runcBinary); err != nil {
		missing = append(missing, fmt.Errorf("it needs %s on PATH: install it, for example with apt-get install runc", runcBinary))
	}
	if err := cgroupsWritable(); err != nil {
		missing = append(missing, err)
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the embedded build engine cannot run here: %w", errors.Join(missing...))
}

// mayMount checks for CAP_SYS_ADMIN, which root inside an ordinary container
// lacks.
func mayMount() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("reading this process's capabilities: %w", err)
	}
	caps, err := effectiveCapabilities(string(status))
	if err != nil {
		return fmt.Errorf("reading this process's capabilities: %w", err)
	}
	if caps&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return errors.New("it needs to mount file systems (CAP_SYS_ADMIN), which this root user may not: inside a container, run that one privileged")
	}
	return nil
}

// effectiveCapabilities reads the CapEff line of /proc/PID/status, see proc(5).
func effectiveCapabilities(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("CapEff is not a hexadecimal number: %w", err)
			}
			return caps, nil
		}
	}
	return 0, errors.New("there is no CapEff line")
}

// cgroupsWritable checks what runc needs to start a container. Without the
// check, each RUN step fails with a line about cgroups in its own output, which
// looks like the step's fault.
func cgroupsWritable() error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	return checkCgroups(mounts)
}

func checkCgroups(mounts []mountPoint) error {
	found := false
	for _, m := range mounts {
		if m.fsType != "cgroup" && m.fsType != "cgroup2" {
			continue
		}
		found = true
		if m.readOnly {
			return fmt.Errorf("it needs cgroups it can write, and %s is mounted read-only: inside a container, run that one privileged", m.path)
		}
	}
	if !found {
		return errors.New("it needs cgroups, and no cgroup file system is mounted: mount one on /sys/fs/cgroup")
	}
	return nil
}
