package build

import (
	"fmt"
	"slices"

	"github.com/containerd/platforms"
)

// HostPlatform is the platform of images that run on this machine:
// "linux/amd64". Containers are Linux's on every machine.
func HostPlatform() string {
	host := platforms.DefaultSpec()
	host.OS, host.OSVersion, host.OSFeatures = "linux", "", nil
	return platforms.Format(platforms.Normalize(host))
}

// NormalizePlatforms gives platforms the names that BuildKit does
// ("linux/x86_64" is "linux/amd64", "linux/arm" is "linux/arm/v7", and
// "linux/arm64/v8" is "linux/arm64"), each once.
func NormalizePlatforms(names []string) ([]string, error) {
	var normalized []string
	for _, name := range names {
		platform, err := platforms.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("platform %q: %w", name, err)
		}
		if name := platforms.Format(platforms.Normalize(platform)); !slices.Contains(normalized, name) {
			normalized = append(normalized, name)
		}
	}
	return normalized, nil
}
