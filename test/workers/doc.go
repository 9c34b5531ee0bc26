// Package workers tests the workers of all runtimes alike: each is started as
// the proxy starts it, and gets bytes over its socket that a well-behaved proxy
// would not send, or functions that set what is not theirs to set.
//
// A worker whose language is not installed is skipped, unless RTBUILD_WORKERS
// is "all".
package workers
