// Package contract verifies that an image keeps the contract of function
// runtimes: it runs functions in containers as the controller and the kubelet
// run them in a cluster, and checks each row of the contract by name.
//
// A Subject is one version of a runtime. Its phases are run as there: files in
// a volume at /kubeless, installation and compilation by a shell in their
// images, the runtime image with the controller's environment, all as UID 1000
// with fsGroup 1000. The functions are the runtime's own: a folder with
// contract.<ext>, which does what its data says ({"do":"echo","value":1}), and
// a few that do not load. docs/CONTRACT.md says how to write them.
//
// A Suite runs the checks of a subject. Most share one container, in turn, so
// that counts and log lines belong to one of them; those about time limits
// have one with a short limit; those about loading, crashes, shutdown and the
// examples have one each. Containers run side by side. Nothing is assumed of
// the image beyond the contract: not that it has our proxy, and not that it
// has a shell, unless a phase has a command.
//
// Checks lists them; docs/CONTRACT.md has them as a table.
package contract
