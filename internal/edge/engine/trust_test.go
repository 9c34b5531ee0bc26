package engine

import (
	"errors"
	"strings"
	"testing"
)

func TestTrustAdvice(t *testing.T) {
	for text, want := range map[string]string{
		`Get "https://r.example:5000/v2/": x509: certificate signed by unknown authority`:                                                                                         "/etc/docker/certs.d/r.example:5000/ca.crt",
		`failed to do request: Head "https://r.example/v2/a/blobs/sha256:1": tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because)`: "/etc/docker/certs.d/r.example/ca.crt",
		`Get "https://r.example/v2/": x509: certificate has expired or is not yet valid`:                                                                                          "",
		`Get "https://r.example/v2/": EOF`:                                  "",
		"https://a.example/\nx509: certificate signed by unknown authority": "",
	} {
		err := errors.New(text)
		got := trustAdvice(dockerTrust).advise(err)
		if !errors.Is(got, err) {
			t.Errorf("%s: the error is not kept: %v", text, got)
		}
		if want == "" && got.Error() != text || !strings.Contains(got.Error(), want) {
			t.Errorf("%s: got %q, want %q in it", text, got, want)
		}
	}
}
