// Package differential holds rtbuild's account of what an image is made of
// against what the engine makes of it. Its tests release random small trees
// with the real rtbuild binary on the embedded engine and take the images
// apart.
//
// Each case is a build context with a Dockerfile, and variants of it that
// differ in one respect: a file with another content or mode, one more, one
// less, a link that leads elsewhere, another line in the ignore file. Of the
// variants of a case, those that rtbuild explain calls fresh are built at once, as
// one, and of the others one. Then this must hold:
//
//   - A file of the context that is in an image is among the inputs that its
//     label lists, and the other way round.
//   - A variant with the fingerprint of its case has the digest of its case,
//     too.
//   - A variant with the content of its case has its fingerprint, too, where
//     the Dockerfile copies all that it reads.
//   - rtbuild explain calls the case stale where its files are replaced by
//     those of a variant with another fingerprint, and fresh where not.
//   - A second clone at another path, written under another umask and built by
//     an engine that has nothing, makes the same digests.
//
// RTBUILD_E2E_SEED and RTBUILD_E2E_CASES say where the random numbers begin and
// how many cases there are, RTBUILD_E2E_FIRST which is the first. What is found
// is printed with the seed and a tree that shows it.
package differential
