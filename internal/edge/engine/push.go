package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/image"
	"github.com/moby/buildkit/util/progress/progresswriter"
	"github.com/opencontainers/go-digest"
)

// push has the Docker engine push ref, and returns the digest of the manifest
// that it made.
func (s *graphDriverStore) push(ctx context.Context, ref string, log progresswriter.Logger) (string, error) {
	tagged, err := taggedReference(ref)
	if err != nil {
		return "", err
	}
	header, err := s.credentials.header(ctx, tagged)
	if err != nil {
		return "", err
	}
	var pushed string
	err = progresswriter.Wrap("pushing "+ref, log, func(progresswriter.SubLogger) error {
		stream, err := s.api.ImagePush(ctx, tagged.String(), image.PushOptions{RegistryAuth: header})
		if err != nil {
			return err
		}
		pushed, err = pushedDigest(stream)
		return errors.Join(err, stream.Close())
	})
	return pushed, err
}

// A pushMessage is one message of the Engine API's push stream. Errors come
// in the stream: the response's status is 200 all the same.
type pushMessage struct {
	Error string `json:"error"`
	Aux   *struct {
		Digest string `json:"Digest"`
	} `json:"aux"`
}

// pushedDigest reads a push stream to its end, and returns the digest in it.
// A stream without one is an error: the push did not come to its end.
func pushedDigest(stream io.Reader) (string, error) {
	var pushed string
	for decoder := json.NewDecoder(stream); ; {
		var m pushMessage
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			if pushed == "" {
				return "", errors.New("the engine's answer ended without the image's digest")
			}
			return pushed, nil
		case err != nil:
			return "", fmt.Errorf("reading the engine's answer: %w", err)
		case m.Error != "":
			return "", errors.New(m.Error)
		}
		if m.Aux == nil || m.Aux.Digest == "" {
			continue
		}
		d, err := digest.Parse(m.Aux.Digest)
		if err != nil {
			return "", fmt.Errorf("the engine reported %q as the pushed digest: %w", m.Aux.Digest, err)
		}
		pushed = d.String()
	}
}
