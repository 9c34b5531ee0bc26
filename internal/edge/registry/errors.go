package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/rtbuild/rtbuild/internal/edge/logins"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A localError is a fault of this machine's files: nobody was asked.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

// explain turns the library's error into one that names what was done, the
// registry, the reason and the next step.
func explain(ctx context.Context, doing string, repo name.Repository, err error) error {
	host := repo.RegistryStr()
	if ctxErr := ctx.Err(); ctxErr != nil {
		// The library's error says only that some request was cut off.
		return fmt.Errorf("%s at %s: %w", doing, host, ctxErr)
	}
	var local *localError
	if errors.As(err, &local) {
		return fmt.Errorf("%s: %w", doing, local.err)
	}
	if advice, reason := unreachable(host, err); reason != nil {
		return fmt.Errorf("%s: %w: %s: %w; %s", doing, reference.ErrUnreachable, host, reason, advice)
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
			doing, reference.ErrUnauthorized, said, hint, logins.Source(repo.Name()), loginHost(host))
	case http.StatusForbidden:
		return fmt.Errorf("%s: %w: %s; credentials: %s; log in with `docker login %s` as a user who has access to %s",
			doing, reference.ErrForbidden, said, logins.Source(repo.Name()), loginHost(host), repo.RepositoryStr())
	case http.StatusTooManyRequests:
		return fmt.Errorf("%s: %s; credentials: %s; wait, or log in with `docker login %s` for a higher limit",
			doing, said, logins.Source(repo.Name()), loginHost(host))
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

// unreachable is why there was no conversation, without the method and address
// that net/http puts before it, after the next step; nil if there was one.
func unreachable(host string, err error) (advice string, reason error) {
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return "if the certificate is right, add its authority to the system's trusted certificates, " +
			"name a PEM file of it as a CA file, " +
			"or set SSL_CERT_FILE to a PEM file that holds the authority's certificate along with the usual ones", unknown
	case errors.As(err, &certificate):
		return "the registry's certificate must be renewed or be issued for this name", certificate.Err
	}
	advice = "check the host and port, and that the registry is running"
	var plain *plainHTTPError
	refused, mismatch := errors.As(err, &plain), errors.Is(err, http.ErrSchemeMismatch)
	if refused || mismatch {
		advice = fmt.Sprintf("if %s speaks plain HTTP on purpose, list it as an insecure registry", host)
	}
	var broken *net.OpError
	var requested *url.Error
	var answer *transport.Error
	switch {
	case refused && mismatch:
		return advice, plain
	case errors.As(err, &broken):
		return advice, broken
	case refused:
		return advice, plain
	case errors.As(err, &requested) && !errors.As(err, &answer):
		return advice, requested.Err
	}
	return "", nil
}
