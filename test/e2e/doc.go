// Package e2e releases whole repositories with the real rtbuild binary, real
// engines and Debian's docker-registry. Its tests need root and the build tag
// e2e; hack/test.sh prepares what they need.
package e2e
