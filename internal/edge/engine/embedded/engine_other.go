//go:build !linux

package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/moby/buildkit/client"
)

// Engine is a running build engine. On this operating system there is none.
type Engine struct{}

// Supported returns an error: the embedded engine exists on Linux only.
func Supported() error {
	return fmt.Errorf("the embedded build engine runs on Linux only, not on %s: use a Docker engine or a BuildKit daemon", runtime.GOOS)
}

// Start returns the error of [Supported].
func Start(context.Context, Config) (*Engine, error) { return nil, Supported() }

// Client returns nil.
func (e *Engine) Client() *client.Client { return nil }

// Close returns an error, as there is nothing to close.
func (e *Engine) Close() error { return errors.New("no embedded build engine was started") }
