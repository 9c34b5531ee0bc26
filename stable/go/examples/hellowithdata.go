package kubeless

import (
	"fmt"

	"github.com/kubeless/kubeless/pkg/functions"
)

// Handler answers with what it is sent.
func Handler(event functions.Event, context functions.Context) (string, error) {
	fmt.Println(event.EventID, event.EventType, event.Data)
	return event.Data, nil
}
