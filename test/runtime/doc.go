// Package runtime tests the images of the runtimes: it runs the phases of a
// function with a Docker engine as the controller runs them in a cluster.
//
// The tests have the build tag e2e and need the docker command, the images of
// the manifest in the engine (or in a registry that
// RTBUILD_E2E_IMAGE_PREFIX names), and the languages' package registries.
package runtime
