// Package download is the edge to what lies at http and https addresses.
package download

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Get gets what is at an address; the caller closes it. Another status than 200
// is an error. It implements function.Fetch.
func Get(ctx context.Context, address string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close() // nothing of it is wanted
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	return response.Body, nil
}
