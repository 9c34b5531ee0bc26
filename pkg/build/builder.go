package build

import (
	"context"
	"io"
	"io/fs"
	"regexp"
	"time"
)

// A Builder turns build requests into images. It is the edge to build
// engines. A Builder is safe for concurrent use.
type Builder interface {
	// Build builds one image, and pushes it if the request says so. It
	// returns when the image is where the request wants it. A failed build
	// step is a *StepError. Cancelling ctx stops the build in the engine.
	Build(ctx context.Context, req Request) (Result, error)
	// Capabilities tells what the engine can do. Asking for more in a
	// Request is an error that names an engine that can.
	Capabilities() Capabilities
	// Close ends the connection, or the engine where it runs in this process.
	Close() error
}

// Capabilities are what an engine can do beyond building one image for its
// own platform.
type Capabilities struct {
	// Engine names the engine for people: "Docker engine 20.10.24 (graph
	// driver store)".
	Engine string
	// Platform is its own, "os/arch[/variant]"; empty if it does not tell.
	Platform string
	// MultiPlatform: several platforms in one image index.
	MultiPlatform bool
}

// A Context is the list of files that an image is made of: what was hashed,
// and so what an engine is to be sent. The first methods are those of
// fsutil.FS. Files that are no longer as they were hashed cannot be read.
type Context interface {
	// Walk visits target and what lies below it; "/" is all.
	Walk(ctx context.Context, target string, visit fs.WalkDirFunc) error
	// Open opens a file to send it.
	Open(path string) (io.ReadCloser, error)
	// Digest is a hash of all names, kinds and contents. Engines keep a mirror
	// of each context and update it by metadata alone, so contexts that differ
	// must not share one; the mirror is keyed by this.
	Digest() string
	// Changed is the error of the first file that could not be sent because it
	// is no longer as it was hashed, or nil.
	Changed() error
}

// A Request is one image to build.
type Request struct {
	// Name labels the build in progress output.
	Name string
	// Context are the files that the engine is sent.
	Context Context
	// Dockerfile is the Dockerfile's content.
	Dockerfile []byte
	// DockerfileName is its base name ("Dockerfile.3.13"), which shows in
	// messages.
	DockerfileName string
	// Images say where images are taken from that the Dockerfile names: from the
	// reference in full ("docker.io/library/debian:bookworm-slim"), as
	// dockerfile.Use has it, to a reference with a digest. Others are taken from
	// where their references say.
	Images map[string]string
	// Frontend is the image, in full, that is to read the Dockerfile; empty for
	// BuildKit's own frontend.
	Frontend string
	// Args are build arguments.
	Args map[string]string
	// Stage is the stage to build; empty for the last one.
	Stage string
	// Labels are added to the image's configuration.
	Labels map[string]string
	// Platforms are "os/arch[/variant]"; empty for the engine's own.
	Platforms []string
	// BuildPlatform, unless empty, is the platform that the engine must have.
	BuildPlatform string
	// Epoch, unless zero, is the time that the image carries instead of the
	// time of the build: SOURCE_DATE_EPOCH, and, on engines that can, the
	// upper bound of the times of files in the layers.
	Epoch time.Time
	// KeepTimes leaves the times of files in the layers as the build made them:
	// no two builds alike, but BuildKit need not write every layer twice.
	KeepTimes bool
	// Secrets are files that RUN --mount=type=secret can read: from the
	// secret's id to an absolute path. They end up in no image and no log.
	Secrets map[string]string
	// SSH are agent sockets or key files for RUN --mount=type=ssh, by id; an
	// empty path is the agent of SSH_AUTH_SOCK.
	SSH map[string]string
	// References are the full references that the image gets, HOST/path:tag
	// each; with Push they are pushed.
	References []string
	// Push sends the image to the registries of References.
	Push bool
	// Retain keeps an image that is not pushed so that it can be a parent of
	// a later Request to the same Builder.
	Retain bool
	// Parents are images of this run that were not pushed: from the reference in
	// full, as in Images, to the Result of its build.
	Parents map[string]Result
}

// A Result is a built image.
type Result struct {
	// Digest is the manifest's digest ("sha256:…"), or empty where the engine
	// knows it only after a push and there was none.
	Digest string
	// ImageID is the digest of the image's configuration, where the engine
	// tells it.
	ImageID string
	// References are the references that the engine knows the image by.
	References []string
	// Cached tells that every step came from the engine's cache.
	Cached bool
}

// A StepError is a build step that failed: the user's Dockerfile is at fault,
// not the engine.
type StepError struct {
	// Name is the Request's.
	Name string
	// Step is the instruction, as the engine names it.
	Step string
	// Log holds the last lines that the step printed, at most 20.
	Log []string
	// Err is the engine's error.
	Err error
}

func (e *StepError) Error() string {
	if e.Step == "" {
		return e.Name + ": " + e.Err.Error()
	}
	return e.Name + ": " + e.Step + ": " + stepFailure.ReplaceAllString(e.Err.Error(), "")
}

// stepFailure matches what engines say before a process's exit code: its command
// once more, which the step's name has already.
var stepFailure = regexp.MustCompile(`(?s)^.*(?:process ".*" did not complete successfully|executor failed running \[.*\]): `)

func (e *StepError) Unwrap() error { return e.Err }
