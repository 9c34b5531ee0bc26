package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// explain turns the library's error into one that names what was done, the
// registry, the reason and the next step.
func explain(ctx context.Context, doing string, repo name.Repository, err error) error {
	host := repo.RegistryStr()
	if ctxErr := ctx.Err(); ctxErr != nil {
		// The library's error says only that some request was cut off.
		return fmt.Errorf("%s at %s: %w", doing, host, ctxErr)
	}
	if isCAError(err) {
		var requested *url.Error
		if errors.As(err, &requested) {
			err = requested.Err
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	if isCredentialError(err) {
		return fmt.Errorf("%s: reading the credentials for %s: %w", doing, host, err)
	}
	if reason := unreachable(err); reason != nil {
		return fmt.Errorf("%s: %w: %s: %w%s", doing, reference.ErrUnreachable, host, reason, reachAdvice(host, err))
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return refused(doing, repo, answer)
	}
	return fmt.Errorf("%s: registry %s: %w", doing, host, err)
}

// refused explains an answer with a status that is no success.
func refused(doing string, repo name.Repository, answer *transport.Error) error {
	host := repo.RegistryStr()
	said := answered(host, answer)
	switch answer.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w: %s; check the name and the tag, or push the image first",
			doing, reference.ErrNotFound, said)
	case http.StatusUnauthorized:
		hint := ""
		if host == name.DefaultRegistry {
			// Docker Hub does not tell who may not look that there is nothing.
			hint = ", which it also does for a repository that does not exist"
		}
		return fmt.Errorf("%s: %w: %s%s; credentials: %s; log in with `docker login %s`",
			doing, reference.ErrUnauthorized, said, hint, credentialSource(repo), loginHost(host))
	case http.StatusForbidden:
		return fmt.Errorf("%s: %w: %s; credentials: %s; log in with `docker login %s` as a user who has access to %s",
			doing, reference.ErrForbidden, said, credentialSource(repo), loginHost(host), repo.RepositoryStr())
	case http.StatusTooManyRequests:
		return fmt.Errorf("%s: %s; credentials: %s; wait, or log in with `docker login %s` for a higher limit",
			doing, said, credentialSource(repo), loginHost(host))
	}
	return fmt.Errorf("%s: %s", doing, said)
}

// answered tells what the registry, or its token server, said.
func answered(host string, answer *transport.Error) string {
	who := "registry " + host
	if answer.Request != nil && answer.Request.URL.Host != host {
		who = fmt.Sprintf("%s of registry %s", answer.Request.URL.Host, host)
	}
	said := fmt.Sprintf("%s answered %d %s", who, answer.StatusCode, http.StatusText(answer.StatusCode))
	details := make([]string, 0, len(answer.Errors))
	for _, d := range answer.Errors {
		details = append(details, fmt.Sprintf("%s: %s", d.Code, d.Message))
	}
	if len(details) > 0 {
		said += " (" + strings.Join(details, "; ") + ")"
	}
	return said
}

// loginHost is the host as `docker login` takes it.
func loginHost(host string) string {
	if host == name.DefaultRegistry {
		return "docker.io"
	}
	return host
}

// unreachable returns why there was no conversation, without the method and
// address that net/http puts before it; nil if there was one.
func unreachable(err error) error {
	if reason := tlsReason(err); reason != nil {
		return reason
	}
	var plain *plainHTTPError
	isPlain := errors.As(err, &plain)
	if errors.Is(err, http.ErrSchemeMismatch) && isPlain {
		return plain
	}
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns
	case errors.As(err, &op):
		return op
	case isPlain:
		return plain
	}
	var requested *url.Error
	var answer *transport.Error
	if errors.As(err, &requested) && !errors.As(err, &answer) {
		return requested.Err
	}
	return nil
}

// tlsReason returns the certificate's fault, if err has one.
func tlsReason(err error) error {
	var unknown x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return unknown
	case errors.As(err, &wrongHost):
		return wrongHost
	case errors.As(err, &invalid):
		return invalid
	}
	return nil
}

// reachAdvice is the next step for a registry that cannot be reached, with a
// semicolon before it.
func reachAdvice(host string, err error) string {
	var unknown x509.UnknownAuthorityError
	var plain *plainHTTPError
	switch {
	case errors.As(err, &unknown):
		return "; if the certificate is right, add its authority to the system's trusted certificates, " +
			"name a PEM file of it as a CA file, " +
			"or set SSL_CERT_FILE to a PEM file that holds the authority's certificate along with the usual ones"
	case tlsReason(err) != nil:
		return "; the registry's certificate must be renewed or be issued for this name"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &plain):
		return fmt.Sprintf("; if %s speaks plain HTTP on purpose, list it as an insecure registry", host)
	}
	return "; check the host and port, and that the registry is running"
}
