package function

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// A Target is where functions live: a container engine, a cluster. A function that is not
// there is a *NotFoundError.
type Target interface {
	// Deploy brings a function into being, or puts it in the place of the one of
	// its name without losing a call. After an error all is as it was.
	Deploy(ctx context.Context, f *Function, at Placing) (Status, error)
	// Update deploys a function again, as change makes it of what is deployed. Of two
	// who change different settings at once neither loses its own: change is called
	// with what the other made.
	Update(ctx context.Context, namespace, name string, at Placing, change Change) (Status, error)
	// List is the functions of a namespace; of an empty one, all of them.
	List(ctx context.Context, namespace string) ([]Status, error)
	Describe(ctx context.Context, namespace, name string) (Status, error)
	// Source is what a function was deployed from, and its dependency file.
	Source(ctx context.Context, namespace, name string) (Source, []byte, error)
	Call(ctx context.Context, namespace, name string, c Call) (Answer, error)
	// Logs copies what a function printed to out, and with follow what it will
	// print.
	Logs(ctx context.Context, namespace, name string, follow bool, out io.Writer) error
	// Delete ends a function and removes all of it.
	Delete(ctx context.Context, namespace, name string) error
}

// Placing says where a function is published.
type Placing struct {
	// HostPort is the port of this machine; 0 keeps the one that it has, or
	// takes a free one.
	HostPort int
}

// A Change makes a function of what is deployed under its name. It may be called
// again where that is another by then.
type Change func(ctx context.Context, was Status) (*Function, error)

// A NotFoundError is a function that is not there.
type NotFoundError struct {
	Name, Namespace string
	// There are the functions of the namespace.
	There []string
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("there is no function %s in namespace %s", e.Name, e.Namespace)
	if len(e.There) > 0 {
		text += "; there are: " + strings.Join(e.There, ", ")
	}
	return text
}
