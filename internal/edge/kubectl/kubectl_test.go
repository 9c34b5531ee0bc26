package kubectl_test

import (
	"errors"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/kubectl"
)

// Where there is no kubectl, that is what the error says.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	client := kubectl.New(kubectl.Config{})
	_, err := client.Get(t.Context(), "configmap", "n", "c")
	for _, err := range []error{err, client.Apply(t.Context(), nil, "m", true), client.Restart(t.Context(), "n", "d")} {
		if !errors.Is(err, kubectl.ErrMissing) {
			t.Errorf("got %v", err)
		}
	}
}
