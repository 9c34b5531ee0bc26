package containers

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// An Engine runs containers. It is the edge to container engines, and safe
// for concurrent use. Everything that it makes is the caller's to remove;
// nothing in an image is run unless a Container says so, so images without a
// shell are as good as others.
type Engine interface {
	// Name is the engine's for people: "Docker engine 20.10.24".
	Name() string
	// Image finds the first of the references that the engine has; if it has
	// none, it pulls the last one.
	Image(ctx context.Context, references ...string) (Image, error)
	// CreateVolume makes a volume of these files and returns its name. Its
	// top folder belongs to group as Kubernetes' fsGroup has it: mode 2777.
	// The image may be any that the engine has.
	CreateVolume(ctx context.Context, v Volume) (string, error)
	// RemoveVolume removes a volume that no container uses. What is gone
	// already is no error.
	RemoveVolume(ctx context.Context, volume string) error
	// Run runs a container to its end and removes it. An exit code other than
	// 0 is no error.
	Run(ctx context.Context, c Container) (Outcome, error)
	// Start starts a container that serves c.Port.
	Start(ctx context.Context, c Container) (Server, error)
}

// A Host is an engine whose containers outlive this process. What it keeps is
// found again by its labels.
type Host interface {
	Engine
	// Keep is Start for a container that stays.
	Keep(ctx context.Context, c Container) (Kept, error)
	// Find lists the containers that carry these labels, running or not, the
	// oldest first.
	Find(ctx context.Context, labels map[string]string) ([]Kept, error)
	// FindVolumes lists the names of the volumes that carry these labels.
	FindVolumes(ctx context.Context, labels map[string]string) ([]string, error)
	// ReadVolume returns a volume's files. The image may be any that the
	// engine has.
	ReadVolume(ctx context.Context, image, volume string) ([]function.File, error)
	// EnsureNetwork makes a network unless there is one of this name.
	EnsureNetwork(ctx context.Context, name string, labels map[string]string) error
	// RemoveNetwork removes a network, unless a container is in it.
	RemoveNetwork(ctx context.Context, name string) error
}

// An Image is an image as an engine has it.
type Image struct {
	// Reference is the one that it was found by, ID the engine's name for it.
	Reference, ID string
	// User is who its processes run as unless a container says otherwise;
	// empty is root.
	User string
	// Labels are those of its configuration.
	Labels map[string]string
	// Platform is what it is for: "linux/amd64".
	Platform string
}

// A Volume is what to make a volume of.
type Volume struct {
	// Image is any that the engine has.
	Image string
	// Group owns the top folder.
	Group  int
	Files  []function.File
	Labels map[string]string
}

// A Container is what to run. It has no capabilities, and its processes get
// none.
type Container struct {
	// Image is an Image's ID.
	Image string
	// Command replaces the image's entry point and command; empty keeps them.
	Command []string
	// WorkingDir replaces the image's; empty keeps it.
	WorkingDir string
	// Env is added to the image's environment, in this order, each name once.
	Env []function.Variable
	// User is a user ID, Group a supplementary group's.
	User, Group int
	// Volume is mounted at Mount.
	Volume, Mount string
	// Secrets are mounted for reading.
	Secrets []Mount
	// ReadOnly makes the root file system read-only, with an empty /tmp in
	// memory.
	ReadOnly bool
	// Port is the TCP port that Start publishes; Run does not use it.
	Port int
	// HostPort is where it is published; 0 is any. A port that is taken is an
	// error that is ErrPortTaken.
	HostPort int
	// Memory is the most that it may take, in bytes, and CPU in thousandths of
	// one; 0 is no limit.
	Memory, CPU int64
	// Labels are kept with it.
	Labels map[string]string
	// Name is unique in the engine; empty is any.
	Name string
	// Network is the network that it is in, under these names too; empty is
	// the engine's default one.
	Network string
	Aliases []string
	// Restart starts it again when it ends or the engine does.
	Restart bool
}

// A Mount is a volume at a path of a container.
type Mount struct{ Volume, Path string }

// An Outcome is what a container that ran to its end left.
type Outcome struct {
	ExitCode       int
	Stdout, Stderr string
	// TerminationLog is what it wrote into /dev/termination-log, which
	// Kubernetes shows people as the reason of a failure.
	TerminationLog string
}

// A Server is a container that was started.
type Server interface {
	// URL reaches the published port: "http://127.0.0.1:32768".
	URL() string
	// Logs are what it printed so far.
	Logs(ctx context.Context) (Output, error)
	// Processes are those that run in it now.
	Processes(ctx context.Context) ([]Process, error)
	// Signal sends a signal ("TERM") to its first process.
	Signal(ctx context.Context, signal string) error
	// State tells whether it runs.
	State(ctx context.Context) (State, error)
	// Remove ends and removes it. What is gone already is no error.
	Remove(ctx context.Context) error
}

// A Kept is a container that outlives this process.
type Kept interface {
	Server
	// Labels are those that it was made with, Image the ID of its image.
	Labels() map[string]string
	Image() string
	// Created is when it was made.
	Created() time.Time
	// Write writes files under a folder of a volume of it.
	Write(ctx context.Context, folder string, files []function.File) error
	// Read returns a file of a volume of it.
	Read(ctx context.Context, name string) ([]byte, error)
	// Follow copies what it prints to out, and with follow what it will print
	// until it or ctx ends.
	Follow(ctx context.Context, follow bool, out io.Writer) error
	// Stop sends it SIGTERM, and SIGKILL if it still runs after grace. It is
	// not started again.
	Stop(ctx context.Context, grace time.Duration) error
}

// Output is what a container printed.
type Output struct{ Stdout, Stderr string }

// A Process runs in a container.
type Process struct {
	// UID is the user that it runs as.
	UID     int
	Command string
}

// A State is that of a container.
type State struct {
	Running bool
	// ExitCode is that of a container that has ended.
	ExitCode int
	// Restarts is how often the engine started it again.
	Restarts int
}

// ErrPortTaken is why a container cannot have a HostPort.
var ErrPortTaken = errors.New("the port is taken")
