package kubeless

import (
	"github.com/google/uuid"
	"github.com/kubeless/kubeless/pkg/functions"
)

// Handler greets everyone differently.
func Handler(event functions.Event, context functions.Context) (string, error) {
	return "hello world " + uuid.NewString(), nil
}
