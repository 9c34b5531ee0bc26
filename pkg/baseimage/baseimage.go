// Package baseimage holds what a build needs to know of an image that it is
// built on.
package baseimage

import (
	"slices"
	"time"
)

// A Config is what an image says to builds that are FROM it: the part of its
// configuration (OCI image specification, config.md) that changes what the
// instructions of a Dockerfile do. Empty fields are not set in the image.
type Config struct {
	// Created is when the image was made, or zero where it does not say.
	Created time.Time
	// Env are its environment variables, NAME=value each.
	Env []string
	// WorkingDir and User are where and as whom its processes run, Shell is what
	// RUN instructions in shell form run in.
	WorkingDir, User string
	Shell            []string
	// OnBuild are its ONBUILD instructions, without that word.
	OnBuild []string
	// LocalOnly is why what is built on it must not leave the machine, as
	// LabelLocalOnly says it, or empty.
	LocalOnly string
}

// LabelLocalOnly is the label of images that hold something of the machine that
// made them, such as the certificates that it trusts. Its value says what.
const LabelLocalOnly = "dev.rtbuild.local-only"

// Equal tells whether two images say the same.
func (c Config) Equal(other Config) bool {
	return c.Created.Equal(other.Created) && c.WorkingDir == other.WorkingDir && c.User == other.User && c.LocalOnly == other.LocalOnly &&
		slices.Equal(c.Env, other.Env) && slices.Equal(c.Shell, other.Shell) && slices.Equal(c.OnBuild, other.OnBuild)
}
