package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// headState is what is known of how a host answers HEAD of manifests. Some
// answer 400, 403, 404, 405, 406, 500 or 501 for manifests that GET shows (Nexus,
// proxies before registries), so that a HEAD without success proves nothing until
// another one had success. Once something was missing by GET, one more GET
// takes the place of a HEAD that would not be believed: no question takes more
// requests for that, unless it is the first.
type headState struct {
	// good: a HEAD had success. bad: one had none where GET had. missed: a GET
	// told that something is missing.
	good, bad, missed atomic.Bool
}

// head is what is known of the host of ref.
func (c *Client) head(ref name.Reference) *headState {
	host := ref.Context().RegistryStr()
	known, _ := c.heads.LoadOrStore(host, &headState{})
	return known.(*headState)
}

// worthAsking tells whether to begin with a HEAD.
func (h *headState) worthAsking(ref name.Reference) bool {
	return h.trusted(ref) || !h.bad.Load() && !h.missed.Load()
}

// trusted tells whether a 404 to a HEAD means that there is nothing. It does at
// Docker Hub, where a GET counts as a pull.
func (h *headState) trusted(ref name.Reference) bool {
	return h.good.Load() && !h.bad.Load() || ref.Context().RegistryStr() == name.DefaultRegistry
}

// wantsGet tells whether a HEAD failed in a way that a GET may not: the
// registry does not do HEAD, or left out a header that the descriptor needs.
// The library reports the latter, and nothing else that comes from a
// registry, as plain errors.
func (h *headState) wantsGet(ctx context.Context, ref name.Reference, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		var local *localError
		_, reason := unreachable("", err)
		return reason == nil && !errors.As(err, &local)
	}
	switch answer.StatusCode {
	case http.StatusForbidden, http.StatusNotFound:
		return !h.trusted(ref)
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false // a GET would be told the same
	}
	return true
}

// statusOf tells whether err is an answer with one of these statuses.
func statusOf(err error, statuses ...int) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && slices.Contains(statuses, answer.StatusCode)
}

// isRefusal tells whether a registry, or its token server, did not let somebody
// look.
func isRefusal(err error) bool {
	return statusOf(err, http.StatusUnauthorized, http.StatusForbidden)
}
