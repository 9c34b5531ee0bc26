package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// clearLeftovers removes what a killed process left of its builds: containers,
// their processes, mounts, and the folders these were in. The caller holds the
// lock of root, so nothing there belongs to a living engine.
//
// Only what comes from root is touched: containers named like a bundle in it
// (BuildKit draws their names at random), processes in the cgroup of such a
// container, mount points in it, and BuildKit's temporary mounts elsewhere that
// are made of layers in it.
func clearLeftovers(ctx context.Context, root string) error {
	bundles, err := filepath.Glob(filepath.Join(workerFolder(escapeGlob(root), "*"), executorFolder, "*"))
	if err != nil {
		return fmt.Errorf("listing unfinished steps: %w", err)
	}
	bundles = slices.DeleteFunc(bundles, func(path string) bool {
		info, err := os.Lstat(path)
		return err != nil || !info.IsDir()
	})
	if err := deleteContainers(ctx, bundles); err != nil {
		return err
	}
	if err := killStrays(ctx, bundles); err != nil {
		return err
	}
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	if err := unmountLeftovers(mounts, root); err != nil {
		return err
	}
	if err := removeCgroups(mounts, bundles); err != nil {
		return err
	}
	return removeBundles(bundles)
}

// escapeGlob makes a path match itself in filepath.Glob.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// deleteContainers kills and deletes the containers of these bundles, which are
// named like them. Each is asked for by its name: runc's list of all containers
// fails when another engine on the machine deletes one of its own meanwhile.
func deleteContainers(ctx context.Context, bundles []string) error {
	for _, bundle := range bundles {
		// Forced, it is no error that runc knows no such container.
		cmd := exec.CommandContext(ctx, runcBinary, "delete", "--force", filepath.Base(bundle))
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", cmd, err, bytes.TrimSpace(output))
		}
	}
	return nil
}

// killStrays kills the processes of containers that runc does not know because
// it was killed while it made them. Their cgroup is named like their bundle.
func killStrays(ctx context.Context, bundles []string) error {
	if len(bundles) == 0 {
		return nil
	}
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			return fmt.Errorf("reading the process number in %s: %w", folder, err)
		}
		if err := killStray(ctx, pid, bundles); err != nil {
			return fmt.Errorf("ending process %d of an unfinished step: %w", pid, err)
		}
	}
	return nil
}

// killStray kills a process if it is of one of these bundles, and waits for its
// end.
func killStray(ctx context.Context, pid int, bundles []string) error {
	// Unlike the number, the descriptor cannot come to mean another process.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return ignore(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ignore(err, unix.ESRCH, unix.ENOENT)
	}
	if !slices.ContainsFunc(bundles, func(bundle string) bool {
		return inCgroup(string(table), filepath.Base(bundle))
	}) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return ignore(err, unix.ESRCH)
	}
	for ctx.Err() == nil {
		ended, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if err = ignore(err, unix.EINTR); err != nil {
			return err
		}
		if ended == 1 {
			return nil
		}
	}
	return ctx.Err()
}

// ignore returns err unless it is one of the others.
func ignore(err error, others ...error) error {
	if slices.ContainsFunc(others, func(other error) bool { return errors.Is(err, other) }) {
		return nil
	}
	return err
}

// inCgroup says whether a process with this /proc/PID/cgroup, see cgroups(7),
// is in a cgroup called name or in one below it.
func inCgroup(table, name string) bool {
	for line := range strings.Lines(table) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && slices.Contains(strings.Split(fields[2], "/"), name) {
			return true
		}
	}
	return false
}

// unmountLeftovers takes down the mounts of unfinished steps, innermost first.
func unmountLeftovers(mounts []mountPoint, root string) error {
	for _, m := range slices.Backward(mounts) {
		if !isLeftover(m, root) {
			continue
		}
		// Detached: a killed process may not have let go of it yet.
		if err := unix.Unmount(m.path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", m.path, err)
		}
		if isTemporary(m, root) {
			if err := os.Remove(m.path); err != nil {
				return fmt.Errorf("removing a temporary mount point: %w", err)
			}
		}
	}
	return nil
}

// isTemporary says whether m is a mount that BuildKit made in the folder for
// temporary files, of layers that lie in root.
func isTemporary(m mountPoint, root string) bool {
	return strings.HasPrefix(filepath.Base(m.path), "buildkit-mount") && m.layeredFrom(root)
}

// isLeftover says whether m is a mount that an engine on root made for its
// steps. Root may also hold mounts that are not the engine's, such as a disk for
// its snapshots.
func isLeftover(m mountPoint, root string) bool {
	if isTemporary(m, root) {
		return true
	}
	rel, err := filepath.Rel(root, m.path)
	if err != nil {
		return false
	}
	parts := strings.Split(rel, "/")
	return len(parts) > 2 && strings.HasPrefix(parts[0], workerFolder("", "")) &&
		(parts[1] == executorFolder || parts[1] == mountPoolFolder)
}

// removeCgroups removes the cgroups of containers that runc did not know.
func removeCgroups(mounts []mountPoint, bundles []string) error {
	for _, m := range mounts {
		if m.fsType != "cgroup" && m.fsType != "cgroup2" {
			continue
		}
		for _, bundle := range bundles {
			path := filepath.Join(m.path, namespace, filepath.Base(bundle))
			// One with others inside is busy; it has no processes and may stay.
			if err := ignore(os.Remove(path), os.ErrNotExist, unix.EBUSY); err != nil {
				return fmt.Errorf("removing the cgroup of an unfinished step: %w", err)
			}
		}
	}
	return nil
}

// removeBundles removes the folders of unfinished steps.
func removeBundles(bundles []string) error {
	for _, bundle := range bundles {
		// The root file system was mounted here. Were it still, removing the
		// tree would delete layers from the cache; this refuses a full folder.
		rootfs := filepath.Join(bundle, "rootfs")
		if err := ignore(os.Remove(rootfs), os.ErrNotExist); err != nil {
			return fmt.Errorf("removing the root of an unfinished step: %w", err)
		}
		if err := os.RemoveAll(bundle); err != nil {
			return fmt.Errorf("removing an unfinished step: %w", err)
		}
	}
	return nil
}
