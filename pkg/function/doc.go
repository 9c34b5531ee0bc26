// Package function knows functions: what one is made of, the phases that bring
// it from source to server, and its life on an engine.
//
// A Function is a name, a Runtime, a handler, files, and settings. Its phases
// are those of the controller that function runtimes are made for:
//
//	preparation   the files and the dependency file land in a volume at /kubeless
//	installation  the runtime's command for dependencies, if there are any
//	compilation   the runtime's command for the source, if it has one
//	runtime       the runtime's image serves the function
//
// Volume says what preparation leaves, Steps the containers that come before
// the runtime phase, and Server the one that serves; all for UID 1000 with
// fsGroup 1000. They are the same wherever the function goes: Prepare runs them
// on an Engine, for the contract suite too, and what describes a function to
// Kubernetes prints them.
//
// Load reads a function's files from a file, a folder, an archive or an
// address, within Limits, and lets nothing leave the volume.
//
// A Local keeps functions on a Host (a Docker engine), with labels as its only
// state, and replaces them without losing a call.
package function
