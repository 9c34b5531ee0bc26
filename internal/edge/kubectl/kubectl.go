// Package kubectl asks clusters through the kubectl program of the user, who
// has set up how to reach them, so that nothing here knows of credentials.
package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/program"
	"github.com/rtbuild/rtbuild/pkg/configmap"
	"github.com/rtbuild/rtbuild/pkg/function/kubernetes"
)

var (
	// ErrMissing says that there is no kubectl to ask.
	ErrMissing = errors.New("the kubectl program is not installed, or not in PATH")
	// ErrNoNamespace says that the cluster has no namespace of that name.
	ErrNoNamespace = errors.New("there is no such namespace")
)

var _ configmap.Cluster = (*Client)(nil)

// A Config says which cluster to ask. The zero value is kubectl's own choice:
// KUBECONFIG, else ~/.kube/config, and the current context there.
type Config struct {
	// Kubeconfig is the path of a kubeconfig; empty is kubectl's own choice.
	Kubeconfig string
	// Context is a context of the kubeconfig; empty is its current one.
	Context string
}

// A Client runs kubectl. It is safe for concurrent use.
type Client struct{ config Config }

// New makes a client; the first call of it tells whether there is a cluster.
func New(c Config) *Client { return &Client{config: c} }

// Get returns an object in JSON; nil if there is none.
func (c *Client) Get(ctx context.Context, kind, namespace, name string) ([]byte, error) {
	out, err := c.run(ctx, nil, "get", kind, name, "--namespace="+namespace, "--ignore-not-found", "--output=json")
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return nil, err
	}
	return out, nil
}

// Apply applies objects, in JSON or YAML, on the server's side and takes over
// the fields of other managers.
func (c *Client) Apply(ctx context.Context, objects []byte, manager string, dryRun bool) error {
	args := []string{"apply", "--server-side", "--force-conflicts", "--field-manager=" + manager, "--filename=-"}
	if dryRun {
		args = append(args, "--dry-run=server")
	}
	_, err := c.run(ctx, objects, args...)
	return err
}

// Restart makes new Pods for a Deployment, one after the other.
func (c *Client) Restart(ctx context.Context, namespace, deployment string) error {
	_, err := c.run(ctx, nil, "rollout", "restart", "deployment/"+deployment, "--namespace="+namespace)
	return err
}

// AwaitRollout waits until a Deployment has all its new Pods, ready, and none of
// the old ones.
func (c *Client) AwaitRollout(ctx context.Context, namespace, deployment string, within time.Duration) error {
	_, err := c.run(ctx, nil, "rollout", "status", "deployment/"+deployment, "--namespace="+namespace, "--timeout="+within.String())
	return err
}

// command is kubectl, for the cluster that was chosen.
func (c *Client) command(ctx context.Context, args []string) *exec.Cmd {
	if c.config.Kubeconfig != "" {
		args = append(args, "--kubeconfig="+c.config.Kubeconfig)
	}
	if c.config.Context != "" {
		args = append(args, "--context="+c.config.Context)
	}
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.WaitDelay = program.PipeGrace
	return cmd
}

// run runs kubectl with input on stdin and returns what it prints.
func (c *Client) run(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	stdout, stderr, err := program.Output(ctx, c.command(ctx, args), input)
	switch {
	case err == nil:
		return stdout, nil
	case ctx.Err() != nil:
		return nil, err
	}
	return nil, explained(args[0], err, stderr)
}

// explained is the failure of a run of kubectl, with what it said and, where
// that is known, what to do.
func explained(verb string, err error, said string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: install it, or give what rtbuild prints to another client", ErrMissing)
	}
	if said == "" {
		return fmt.Errorf("kubectl %s: %w", verb, err)
	}
	failure := fmt.Errorf("kubectl %s: %s", verb, said)
	switch {
	case strings.Contains(said, "the object has been modified"):
		return fmt.Errorf("%w: %w", kubernetes.ErrConflict, failure)
	case strings.Contains(said, "namespaces ") && strings.Contains(said, "(NotFound)"):
		return fmt.Errorf("%w: %w", ErrNoNamespace, failure)
	case strings.Contains(said, "connection to the server") && strings.Contains(said, "refused"),
		strings.Contains(said, "no configuration has been provided"), strings.Contains(said, "no such host"):
		return fmt.Errorf("no cluster answers: %w; kubectl config get-contexts lists those that are set up", failure)
	case strings.Contains(said, "(Forbidden)"):
		return fmt.Errorf("%w: ask for these rights, or take another user (kubectl auth can-i --list)", failure)
	}
	return failure
}
