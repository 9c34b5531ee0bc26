// Package embedded runs BuildKit inside the calling process, for machines with
// no build daemon. Builds go through an ordinary BuildKit client whose
// connection never leaves the process.
//
// RUN steps are run by runc in a new PID and mount namespace but in the host's
// network namespace: they see the host's interfaces, its loopback services and
// its DNS resolver. Build only what you would run on the host's network.
//
// Linux only, and root only; see [Supported].
package embedded

import (
	"crypto/x509"
	"io"
)

// Config says where the engine keeps its state and how it reaches registries.
type Config struct {
	// Root is the folder that holds the build cache, as an absolute path. It is
	// made if it is missing. One engine at a time may use it.
	//
	// The cache is bounded: once it holds more than 10 GB, or more than 20 % of
	// the size of its file system where that is less, the records that went
	// unused longest are removed.
	Root string
	// Log receives the engine's own log lines, not the output of builds. Nil
	// drops them. The libraries inside log through one logger of the process,
	// so while several engines run, the one started last receives the lines of
	// all.
	Log io.Writer
	// Insecure lists the registries, as "host" or "host:port", that are spoken
	// to over plain HTTP, without a port on any. Loopback registries (localhost, 127.0.0.0/8, ::1)
	// need no entry. All others are spoken to over HTTPS.
	Insecure []string
	// Roots are the authorities that registries' certificates are checked
	// against; nil: the system's (or those SSL_CERT_FILE and SSL_CERT_DIR name).
	Roots *x509.CertPool
}
