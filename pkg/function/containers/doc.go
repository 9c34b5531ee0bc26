// Package containers runs functions in containers of an engine.
//
// Prepare runs the phases before the runtime phase on an Engine, for the
// contract suite too. A Local keeps functions on a Host (a Docker engine), with
// labels as its only state, and replaces them without losing a call; a Draft is
// one whose author works on it. Package puts a function into an image.
package containers

import "github.com/rtbuild/rtbuild/pkg/function"

var _ function.Target = (*Local)(nil)
