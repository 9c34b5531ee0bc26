package engine

import (
	"fmt"
	"regexp"
)

// untrustedText matches how engines say that a certificate's authority is not
// one that they trust, with the host: "Get \"https://HOST/v2/\": x509:
// certificate signed by unknown authority", or with "tls: failed to verify
// certificate" in between.
var untrustedText = regexp.MustCompile(`https://([^/"\s]+)[^\n]*?x509: certificate (?:signed by unknown authority|is not trusted)`)

// A trustAdvice says how to make an engine trust the authority of the
// registry at host: where each engine has its certificates, and that this is
// not for us to change there, is what nobody guesses.
type trustAdvice func(host string) string

func dockerTrust(host string) string {
	return fmt.Sprintf("a Docker engine has trusted certificates of its own: put the PEM file of the authority's at /etc/docker/certs.d/%s/ca.crt on the engine's machine", host)
}

func buildkitdTrust(host string) string {
	return fmt.Sprintf("a buildkitd has trusted certificates of its own: add the two lines [registry.%q] and ca=[\"/path/of/ca.crt\"] to its buildkitd.toml (/etc/buildkit), and start it again", host)
}

func embeddedTrust(string) string {
	return "if the certificate is right, name a PEM file of its authority's with --ca-file"
}

// advise adds the advice to an error that says that a registry is not trusted.
func (advice trustAdvice) advise(err error) error {
	if m := untrustedText.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%w; %s", err, advice(m[1]))
	}
	return err
}
