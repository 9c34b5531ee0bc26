package kubectl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/rtbuild/rtbuild/pkg/function/kubernetes"
)

var _ kubernetes.Cluster = (*Client)(nil)

// labelSelector is labels as kubectl has them.
func labelSelector(labels map[string]string) string {
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		terms = append(terms, key+"="+labels[key])
	}
	return "--selector=" + strings.Join(terms, ",")
}

// List implements kubernetes.Cluster.
func (c *Client) List(ctx context.Context, kinds, namespace string, labels map[string]string) ([]byte, error) {
	return c.run(ctx, nil, "get", kinds, "--namespace="+namespace, labelSelector(labels), "--output=json")
}

// Delete implements kubernetes.Cluster.
func (c *Client) Delete(ctx context.Context, kinds, namespace string, labels map[string]string) error {
	_, err := c.run(ctx, nil, "delete", kinds, "--namespace="+namespace, labelSelector(labels), "--wait=false")
	return err
}

// DeleteNamed implements kubernetes.Cluster.
func (c *Client) DeleteNamed(ctx context.Context, kind, namespace, name string) error {
	_, err := c.run(ctx, nil, "delete", kind, name, "--namespace="+namespace, "--ignore-not-found", "--wait=false")
	return err
}

// Logs implements kubernetes.Cluster.
func (c *Client) Logs(ctx context.Context, namespace, pod, container string, lines int) (string, error) {
	out, err := c.run(ctx, nil, "logs", pod, "--container="+container, "--namespace="+namespace, fmt.Sprintf("--tail=%d", lines))
	return string(out), err
}

// Events implements kubernetes.Cluster.
func (c *Client) Events(ctx context.Context, namespace, name string) ([]byte, error) {
	return c.run(ctx, nil, "get", "events", "--namespace="+namespace, "--field-selector=involvedObject.name="+name, "--output=json")
}

// followed is how many Pods' logs are followed at once.
const followed = 50

// Follow implements kubernetes.Cluster.
func (c *Client) Follow(ctx context.Context, namespace, container string, labels map[string]string, follow bool, out io.Writer) error {
	cmd := c.command(ctx, []string{"logs", "--namespace=" + namespace, labelSelector(labels), "--container=" + container,
		"--tail=-1", fmt.Sprintf("--follow=%t", follow), fmt.Sprintf("--max-log-requests=%d", followed)})
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	err := cmd.Run()
	if err != nil && ctx.Err() == nil {
		return explained("logs", err, strings.TrimSpace(stderr.String()))
	}
	return context.Cause(ctx)
}

// Forward implements kubernetes.Cluster.
func (c *Client) Forward(ctx context.Context, namespace, object string, port int) (address string, closed func() error, err error) {
	cmd := c.command(ctx, []string{"port-forward", object, fmt.Sprintf(":%d", port), "--namespace=" + namespace, "--address=127.0.0.1"})
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, explained("port-forward", err, "")
	}
	closed = func() error {
		err := cmd.Process.Signal(syscall.SIGTERM)
		var exit *exec.ExitError
		if waited := cmd.Wait(); waited != nil && !errors.As(waited, &exit) {
			err = errors.Join(err, waited)
		}
		return err
	}
	// "Forwarding from 127.0.0.1:43210 -> 8080"
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	if _, rest, found := strings.Cut(line, "Forwarding from "); readErr == nil && found {
		address, _, _ = strings.Cut(rest, " ")
		// What it prints from now on is of no use, but it must not wait for that.
		go func() { _, _ = io.Copy(io.Discard, stdout) }()
		return address, closed, nil
	}
	waited := cmd.Wait()
	if ctx.Err() != nil {
		return "", nil, context.Cause(ctx)
	}
	return "", nil, explained("port-forward", waited, strings.TrimSpace(stderr.String()))
}
