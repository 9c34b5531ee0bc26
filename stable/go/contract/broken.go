package kubeless

import "github.com/kubeless/kubeless/pkg/functions"

// Handler does not compile: the next line is a syntax error.
func Handler(event functions.Event context functions.Context) (string, error) {
	return "never", nil
}
