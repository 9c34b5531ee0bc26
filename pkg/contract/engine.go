package contract

import "context"

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
	CreateVolume(ctx context.Context, image string, group int, files []VolumeFile) (string, error)
	// RemoveVolume removes a volume that no container uses.
	RemoveVolume(ctx context.Context, volume string) error
	// Run runs a container to its end and removes it. An exit code other than
	// 0 is no error.
	Run(ctx context.Context, c Container) (Outcome, error)
	// Start starts a container that serves c.Port.
	Start(ctx context.Context, c Container) (Server, error)
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
}

// A VolumeFile goes into a volume.
type VolumeFile struct {
	Name    string
	Content []byte
}

// A Container is what to run.
type Container struct {
	// Image is an Image's ID.
	Image string
	// Command replaces the image's entry point and command; empty keeps them.
	Command []string
	// WorkingDir replaces the image's; empty keeps it.
	WorkingDir string
	// Env is added to the image's environment, in this order, each name once.
	Env []Variable
	// User is a user ID, Group a supplementary group's.
	User, Group int
	// Volume is mounted at Mount.
	Volume, Mount string
	// ReadOnly makes the root file system read-only, with an empty /tmp in
	// memory.
	ReadOnly bool
	// Port is the TCP port that Start publishes; Run does not use it.
	Port int
}

// A Variable of a container's environment.
type Variable struct{ Name, Value string }

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
}
