//go:build e2e

package e2e

import (
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// Who follows the tutorial gets what it says. Its commands run as they stand, one
// after the other in one shell, from an empty folder.
func TestTutorial(t *testing.T) {
	const builder = "docker"
	mirror := destinationOf(harness.Registry(t, harness.RegistryConfig{}), "tutorial")
	hub(t, builder, mirror, "debian:trixie-slim")

	harness.Follow(t, "../../docs/tutorials/first-runtime.md", 5, t.TempDir(), "RTBUILD_BUILDER="+builder, "RTBUILD_MIRROR=docker.io="+mirror)
}
