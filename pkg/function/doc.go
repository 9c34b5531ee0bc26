// Package function knows functions: what one is made of, and the phases that
// bring it from source to server, those of the controller of function runtimes:
//
//	preparation   the files and the dependency file land in a volume at /kubeless
//	installation  the runtime's command for dependencies, if there are any
//	compilation   the runtime's command for the source, if it has one
//	runtime       the runtime's image serves the function
//
// Volume says what preparation leaves, Steps the containers before the runtime
// phase, and Server the one that serves; all for UID 1000 with fsGroup 1000.
// Targets, wherever functions live, go by them.
package function
