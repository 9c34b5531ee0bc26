package registry

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Roots are the authorities that registries' certificates are checked against:
// the system's and those of PEM files; nil, which means the system's,
// without files. Errors name the file.
func Roots(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's trusted certificates: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the CA file: %w", err)
		}
		if !pool.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("CA file %s holds no certificate in PEM form", file)
		}
	}
	return pool, nil
}
