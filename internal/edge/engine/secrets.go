package engine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// confidences are what RUN steps of one build may use but not keep.
type confidences struct {
	// attachables give it to the engine, on its demand.
	attachables []session.Attachable
	// mask keeps the secrets out of what the build prints.
	mask *mask
}

// openConfidences reads the request's secrets and opens its SSH agents. What
// is missing is an error that names the id and the path; the build has not
// begun then.
func openConfidences(req build.Request) (confidences, error) {
	secrets := map[string][]byte{}
	for _, id := range slices.Sorted(maps.Keys(req.Secrets)) {
		secret, err := readSecret(req.Secrets[id])
		if err != nil {
			return confidences{}, fmt.Errorf("secret %q: %w", id, err)
		}
		secrets[id] = secret
	}
	c := confidences{mask: newMask(slices.Collect(maps.Values(secrets)))}
	if len(secrets) > 0 {
		c.attachables = append(c.attachables, secretsprovider.FromMap(secrets))
	}
	if len(req.SSH) == 0 {
		return c, nil
	}
	agents, err := openAgents(req.SSH)
	if err != nil {
		return confidences{}, err
	}
	c.attachables = append(c.attachables, agents)
	return c, nil
}

// readSecret reads a secret's file. It is read once, so that what the engine
// gets and what is masked are the same.
func readSecret(path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the path %q is not absolute", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, not a file", path)
	case info.Size() > secretsprovider.MaxSecretSize:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that engines take", path, info.Size(), secretsprovider.MaxSecretSize)
	}
	return os.ReadFile(path)
}

// openAgents checks the agents and keys of a build's SSH mounts, from id to
// path, and offers them to the engine.
func openAgents(paths map[string]string) (session.Attachable, error) {
	var configs []sshprovider.AgentConfig
	for _, id := range slices.Sorted(maps.Keys(paths)) {
		path := paths[id]
		if path == "" {
			path = os.Getenv("SSH_AUTH_SOCK")
		}
		if path == "" {
			return nil, fmt.Errorf("ssh %q: %w", id, errors.New("no SSH agent runs, SSH_AUTH_SOCK is not set: start one, or name a key file"))
		}
		config := sshprovider.AgentConfig{ID: id, Paths: []string{path}}
		// Each one alone, for an error that tells whose it is.
		if _, err := sshprovider.NewSSHAgentProvider([]sshprovider.AgentConfig{config}); err != nil {
			return nil, fmt.Errorf("ssh %q, %s: %w", id, path, err)
		}
		configs = append(configs, config)
	}
	return sshprovider.NewSSHAgentProvider(configs)
}
