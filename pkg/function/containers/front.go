package containers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// The front runs the proxy that the runtime's image has, and sends calls to
// where the file upstream says: HOST:PORT and the end of the line.
const (
	frontFolder  = "/front"
	upstreamFile = "upstream"
	frontProgram = "/proxy"
	// firstPort and lastPort bound free choices: below what systems give to
	// connections that go out.
	firstPort, lastPort = 20000, 32000
	portTries           = 10
	// frontLimit is how long a front may take to answer.
	frontLimit = 20 * time.Second
)

// turn has the front send calls to a generation, and returns it. A front that
// is not there, or not where it should be, is made.
func (l *Local) turn(ctx context.Context, g *generation, front Kept, at function.Placing) (Kept, error) {
	if front != nil && l.stays(ctx, front, g.f, at) {
		// A write that is cut short may have been one.
		return front, front.Write(context.WithoutCancel(ctx), frontFolder, g.upstream())
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if front != nil && at.HostPort == 0 {
		at.HostPort = hostPort(front)
	}
	// The port of the host can only be taken over from one who has let go.
	if front != nil && at.HostPort == hostPort(front) {
		if err := l.removeFront(ctx, front, g.f.Limit()); err != nil {
			return nil, err
		}
		front = nil
	}
	made, err := l.newFront(ctx, g, at)
	if err != nil || front == nil {
		return made, err
	}
	return made, l.removeFront(ctx, front, g.f.Limit())
}

// stays tells whether a front is where the function shall be.
func (l *Local) stays(ctx context.Context, front Kept, f *function.Function, at function.Placing) bool {
	state, err := front.State(ctx)
	return err == nil && state.Running && front.Labels()[frontPortLabel] == strconv.Itoa(f.Port) && (at.HostPort == 0 || at.HostPort == hostPort(front))
}

const frontPortLabel = function.LabelPrefix + "port"

func (g *generation) upstream() []function.File {
	return []function.File{{Name: upstreamFile, Content: fmt.Appendf(nil, "%s:%d\n", g.name, g.f.Port)}}
}

// hostPort is the port of the host that a container is at, or 0.
func hostPort(k Kept) int {
	address, err := url.Parse(k.URL())
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		return 0
	}
	return port
}

// newFront starts a front that sends calls to a generation.
func (l *Local) newFront(ctx context.Context, g *generation, at function.Placing) (Kept, error) {
	labels, err := labelsOf(g.f, frontPart, frontPart+"-"+g.name)
	if err != nil {
		return nil, err
	}
	labels[frontPortLabel] = strconv.Itoa(g.f.Port)
	image := g.images[manifest.RuntimePhase].ID
	volume, err := l.Host.CreateVolume(ctx, Volume{Image: image, Group: function.Group, Files: g.upstream(), Labels: labels})
	if err != nil {
		return nil, err
	}
	c := Container{
		Image: image, Command: []string{frontProgram, "forward", frontFolder + "/" + upstreamFile},
		Env:  []function.Variable{{Name: "FUNC_PORT", Value: strconv.Itoa(g.f.Port)}, {Name: "SHUTDOWN_TIMEOUT", Value: strconv.Itoa(g.f.Timeout)}},
		User: function.User, Group: function.Group, Volume: volume, Mount: frontFolder, ReadOnly: true, Port: g.f.Port, HostPort: at.HostPort,
		Labels: labels, Name: strings.Join([]string{"rtbuild", g.f.Namespace, g.f.Name, "front", g.name}, "-"),
		Network: networkName(g.f.Namespace), Aliases: []string{g.f.Name}, Restart: true,
	}
	front, err := l.keepFront(ctx, c)
	if err == nil {
		if err = awaitFront(ctx, front); err != nil {
			err = errors.Join(err, front.Remove(context.WithoutCancel(ctx)))
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.Host.RemoveVolume(context.WithoutCancel(ctx), volume))
	}
	return front, nil
}

// keepFront starts a front at the port that it asks for, or at a free one.
func (l *Local) keepFront(ctx context.Context, c Container) (Kept, error) {
	if c.HostPort != 0 {
		front, err := l.startFront(ctx, c)
		if errors.Is(err, ErrPortTaken) {
			return nil, fmt.Errorf("port %d of this machine is in use, by another container or program: choose another one, or none: %w", c.HostPort, err)
		}
		return front, err
	}
	for try := 1; ; try++ {
		c.HostPort = firstPort + rand.IntN(lastPort-firstPort)
		front, err := l.startFront(ctx, c)
		if err == nil || !errors.Is(err, ErrPortTaken) || try == portTries {
			return front, err
		}
	}
}

func (l *Local) startFront(ctx context.Context, c Container) (Kept, error) {
	front, err := l.Host.Keep(ctx, c)
	if err != nil && strings.Contains(err.Error(), frontProgram) {
		return nil, fmt.Errorf("the front of the function needs a program %s, which the runtime's image does not have: build the image with rtbuild's proxy in it, or deploy with --target kubernetes: %w", frontProgram, err)
	}
	return front, err
}

// awaitFront waits until a front passes on what the function answers.
func awaitFront(ctx context.Context, front Kept) error {
	deadline := time.Now().Add(frontLimit)
	probe := probeOf(front)
	for {
		status, _, err := probe.Ask(ctx)
		if err != nil {
			return err
		}
		if status == 200 {
			return nil
		}
		state, err := front.State(ctx)
		if err != nil {
			return err
		}
		if !state.Running || state.Restarts > 0 || time.Now().After(deadline) {
			return notLoaded(ctx, front, "the front of the function does not pass on calls: is the image's "+frontProgram+" of this version? rtbuild build makes it anew")
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// removeFront ends a front when it has answered what it had.
func (l *Local) removeFront(ctx context.Context, front Kept, limit time.Duration) error {
	if err := errors.Join(front.Stop(ctx, limit+spare), front.Remove(ctx)); err != nil {
		return err
	}
	return l.removeVolumes(ctx, map[string]string{
		nameLabel: front.Labels()[nameLabel], namespaceLabel: front.Labels()[namespaceLabel], generationLabel: front.Labels()[generationLabel],
	})
}
