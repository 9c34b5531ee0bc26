// Package runtime tests what is in the images of the runtimes; that they keep
// the contract is for rtbuild verify to say.
//
// The tests have the build tag e2e and need the docker command and the images
// of the manifests in the engine, or in a registry that
// RTBUILD_E2E_IMAGE_PREFIX names ("127.0.0.1:5000/").
package runtime
