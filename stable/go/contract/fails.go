package kubeless

import "github.com/kubeless/kubeless/pkg/functions"

func init() {
	panic("contract: cannot load")
}

// Handler is never called.
func Handler(event functions.Event, context functions.Context) (string, error) {
	return "never", nil
}
