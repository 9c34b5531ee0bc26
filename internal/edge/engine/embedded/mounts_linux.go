package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const runcBinary = "runc"

// mountPoint is one line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
type mountPoint struct {
	path     string
	fsType   string
	readOnly bool
	// layers are the folders an overlay is made of; empty for other types.
	layers []string
}

// layeredFrom says whether the mount is an overlay over folders inside folder.
func (m mountPoint) layeredFrom(folder string) bool {
	return slices.ContainsFunc(m.layers, func(layer string) bool { return inside(layer, folder) })
}

func inside(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != "." && filepath.IsLocal(rel)
}

func readMounts() ([]mountPoint, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mount table: %w", err)
	}
	return parseMounts(string(table))
}

func parseMounts(table string) ([]mountPoint, error) {
	var mounts []mountPoint
	number := 0
	for line := range strings.Lines(table) {
		number++
		// The optional fields before " - " vary in number.
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 1 {
			return nil, fmt.Errorf("mount table line %d is not understood: %q", number, line)
		}
		m := mountPoint{
			path:     unescape(left[4]),
			fsType:   right[0],
			readOnly: slices.Contains(strings.Split(left[5], ","), "ro"),
		}
		if m.fsType == "overlay" {
			m.layers = overlayLayers(right[len(right)-1])
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// overlayLayers returns the folders named in an overlay's options.
func overlayLayers(options string) []string {
	var layers []string
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "upperdir", "workdir":
			layers = append(layers, unescape(value))
		case "lowerdir":
			for folder := range strings.SplitSeq(value, ":") {
				layers = append(layers, unescape(folder))
			}
		}
	}
	return layers
}

// unescape undoes the kernel's octal escapes of the characters that would break
// the table's columns.
func unescape(field string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(field)
}
