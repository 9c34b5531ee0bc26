package kubeless

import (
	"time"

	"github.com/kubeless/kubeless/pkg/functions"
)

func init() {
	time.Sleep(3 * time.Second)
}

// Handler answers after a slow start.
func Handler(event functions.Event, context functions.Context) (string, error) {
	return "started", nil
}
