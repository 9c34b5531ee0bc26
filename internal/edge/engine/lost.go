package engine

import (
	"errors"
	"fmt"
	"io"

	dockerclient "github.com/docker/docker/client"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"
)

// lost tells whether err is the end of our connection to the engine, and not
// something that the engine said: it ended, was killed or was restarted. What
// a registry did to a push comes as text.
func lost(err error) bool {
	var push *pushError
	if errors.As(err, &push) {
		return false
	}
	return grpcerrors.Code(err) == codes.Unavailable || dockerclient.IsErrConnectionFailed(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// adviseLost adds what to do to an error that ended the connection.
func adviseLost(err error) error {
	if !lost(err) {
		return err
	}
	return fmt.Errorf("the connection to the engine broke: %w; see that it runs, and run again: what is pushed is not built again", err)
}
