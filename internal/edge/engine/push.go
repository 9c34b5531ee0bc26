package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker/docker/api/types/image"
	dockerclient "github.com/docker/docker/client"
	"github.com/moby/buildkit/util/progress/progresswriter"
	"github.com/opencontainers/go-digest"
)

// push has the Docker engine push ref, and returns the digest of the manifest
// that it made. Where the registry is at fault the error is a *pushError.
func (s *graphDriverStore) push(ctx context.Context, ref string, log progresswriter.Logger) (string, error) {
	tagged, err := taggedReference(ref)
	if err != nil {
		return "", err
	}
	header, err := s.credentials.Header(ctx, tagged)
	if err != nil {
		return "", fmt.Errorf("pushing %s: %w", ref, err)
	}
	var answer pushAnswer
	err = progresswriter.Wrap("pushing "+ref, log, func(progresswriter.SubLogger) error {
		stream, err := s.api.ImagePush(ctx, tagged.String(), image.PushOptions{RegistryAuth: header})
		switch {
		case err != nil && dockerclient.IsErrConnectionFailed(err):
			return fmt.Errorf("pushing %s: %w", ref, err)
		case err != nil: // what fails before the first progress report
			return newPushError(ref, err.Error(), err, false)
		}
		answer, err = readPush(stream)
		if err := errors.Join(err, stream.Close()); err != nil {
			return fmt.Errorf("pushing %s: %w", ref, err)
		}
		if answer.failure != "" {
			return newPushError(ref, answer.failure, errors.New(answer.failure), answer.retried)
		}
		return nil
	})
	return answer.digest, err
}

// A pushMessage is one message of the Engine API's push stream. Errors come
// in the stream: the response's status is 200 all the same.
type pushMessage struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Aux    *struct {
		Digest string `json:"Digest"`
	} `json:"aux"`
}

// A pushAnswer is what a push stream said: the manifest's digest, or why there
// is none.
type pushAnswer struct {
	digest  string
	failure string
	// retried tells that the engine tried again by itself.
	retried bool
}

// readPush reads a push stream to its end. A stream with neither a digest nor
// a failure is an error: the push did not come to its end.
func readPush(stream io.Reader) (pushAnswer, error) {
	var answer pushAnswer
	for decoder := json.NewDecoder(stream); ; {
		var m pushMessage
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			if answer.digest == "" {
				return pushAnswer{}, errors.New("the engine's answer ended without the image's digest")
			}
			return answer, nil
		case err != nil:
			return pushAnswer{}, fmt.Errorf("reading the engine's answer: %w", err)
		case m.Error != "":
			return pushAnswer{failure: m.Error, retried: answer.retried}, nil
		}
		if strings.HasPrefix(m.Status, "Retrying in ") {
			answer.retried = true
		}
		if m.Aux == nil || m.Aux.Digest == "" {
			continue
		}
		d, err := digest.Parse(m.Aux.Digest)
		if err != nil {
			return pushAnswer{}, fmt.Errorf("the engine reported %q as the pushed digest: %w", m.Aux.Digest, err)
		}
		answer.digest = d.String()
	}
}
