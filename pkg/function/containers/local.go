package containers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A Local keeps functions on a Host. The labels of containers, volumes and
// networks are its only state.
//
// A function is two containers: one that serves a generation of it, and its
// front, which has the address. An update starts the next generation beside the
// last; when that is ready the front sends it what comes from then on, and the
// last one ends when it has answered what it had. So no call is lost, and the
// address stays.
type Local struct {
	Host Host
	// Say tells people how far a deployment is; nil tells nobody.
	Say func(format string, args ...any)
	// Alone waits until nobody else, in this process or another, has what goes by
	// this name, and keeps it from others until unlock is called. With nil there
	// is nobody else.
	Alone func(ctx context.Context, name string) (unlock func(), err error)
}

const (
	// drain is how long a generation goes on serving when the front has turned
	// to the next one: calls may be on their way to it.
	drain = time.Second
	// spare is what an orderly end takes beside calls.
	spare = 10 * time.Second
	// loadLimit is how long a function may take to load.
	loadLimit = 5 * time.Minute
)

// Deploy brings a function into being, or puts it in the place of the one of
// this name. It returns when the function answers at its address and the last
// one has ended. After an error all is as it was. Of two who deploy one
// function at once, the second waits for the first.
func (l *Local) Deploy(ctx context.Context, f *function.Function, at function.Placing) (function.Status, error) {
	unlock, err := l.alone(ctx, functionLock(f.Namespace, f.Name))
	if err != nil {
		return function.Status{}, err
	}
	defer unlock()
	return l.deploy(ctx, f, at)
}

// Update implements Target.
func (l *Local) Update(ctx context.Context, namespace, name string, at function.Placing, change function.Change) (function.Status, error) {
	unlock, err := l.alone(ctx, functionLock(namespace, name))
	if err != nil {
		return function.Status{}, err
	}
	defer unlock()
	was, err := l.Describe(ctx, namespace, name)
	if err != nil {
		return function.Status{}, err
	}
	f, err := change(ctx, was)
	if err != nil {
		return function.Status{}, err
	}
	return l.deploy(ctx, f, at)
}

// deploy is Deploy for who has the function's lock.
func (l *Local) deploy(ctx context.Context, f *function.Function, at function.Placing) (_ function.Status, err error) {
	if err := f.Check(); err != nil {
		return function.Status{}, err
	}
	images, err := FindImages(ctx, l.Host, f.Runtime)
	if err != nil {
		return function.Status{}, err
	}
	before, err := l.find(ctx, f.Namespace, f.Name)
	if err != nil {
		return function.Status{}, err
	}
	g := &generation{local: l, f: f, images: images, name: newGeneration(), began: time.Now()}
	front := before.front
	if err = g.start(ctx); err == nil {
		front, err = l.turn(ctx, g, front, at)
	}
	if err != nil {
		return function.Status{}, errors.Join(err, g.remove(ctx), l.leave(ctx, f.Namespace))
	}
	l.say("%s answers at %s", f.Name, front.URL())
	// What has begun to end is ended, whoever leaves meanwhile.
	for _, old := range before.servers {
		err = errors.Join(err, l.retire(context.WithoutCancel(ctx), old))
	}
	return g.status(front), errors.Join(err, ctx.Err())
}

// status is that of a generation which calls go to.
func (g *generation) status(front Kept) function.Status {
	return function.Status{
		Name: g.f.Name, Namespace: g.f.Namespace, Record: function.RecordOf(g.f), Status: function.StatusReady, URL: front.URL(),
		Deployed: g.began.UTC().Truncate(time.Second),
	}
}

func (l *Local) say(format string, args ...any) {
	if l.Say != nil {
		l.Say(format, args...)
	}
}

// newGeneration is a name for a generation, which is one for a host, too.
func newGeneration() string {
	bytes := make([]byte, 5)
	_, _ = rand.Read(bytes) // never fails
	return "g" + hex.EncodeToString(bytes)
}

func networkName(namespace string) string { return "rtbuild-" + namespace }

func (l *Local) alone(ctx context.Context, name string) (unlock func(), err error) {
	if l.Alone == nil {
		return func() {}, nil
	}
	return l.Alone(ctx, name)
}

func functionLock(namespace, name string) string { return "function-" + namespace + "-" + name }

// networkLock is for those who need a network and those who remove it.
func networkLock(namespace string) string { return "network-" + namespace }

// leave removes the network of a namespace unless a function is in it, also
// when ctx has ended.
func (l *Local) leave(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	unlock, err := l.alone(ctx, networkLock(namespace))
	if err != nil {
		return err
	}
	defer unlock()
	left, err := l.Host.Find(ctx, map[string]string{namespaceLabel: namespace})
	if err != nil || len(left) > 0 {
		return err
	}
	return l.Host.RemoveNetwork(ctx, networkName(namespace))
}

// A generation is a function that is being deployed.
type generation struct {
	local  *Local
	f      *function.Function
	images Images
	// name tells it from others of the function.
	name  string
	began time.Time
	// volumes are its own.
	volumes  []string
	prepared *Prepared
	server   Kept
}

// start runs the phases and starts the server, and waits until that is ready.
// What it made stays for remove. A function in an image of its own went through
// the phases before.
func (g *generation) start(ctx context.Context) error {
	labels, err := labelsOf(g.f, serverPart, g.name)
	if err != nil {
		return err
	}
	if g.f.Image != "" {
		image, err := g.local.Host.Image(ctx, g.f.Image)
		if err != nil {
			return fmt.Errorf("the image of the function: %w", err)
		}
		return g.launch(ctx, &Prepared{Function: g.f, engine: g.local.Host, images: Images{manifest.RuntimePhase: image}, labels: labels})
	}
	prepared, err := Prepare(ctx, g.local.Host, g.images, g.f, labels)
	if err != nil {
		return err
	}
	g.volumes = append(g.volumes, prepared.Volume)
	if err := g.keepSource(ctx); err != nil {
		return err
	}
	return g.launch(ctx, prepared)
}

// launch starts the server on what is prepared, and waits until it is ready.
func (g *generation) launch(ctx context.Context, prepared *Prepared) (err error) {
	g.prepared = prepared
	c := prepared.Container()
	if err := g.limit(&c); err != nil {
		return err
	}
	if c.Secrets, err = g.secrets(ctx); err != nil {
		return err
	}
	c.Env = withDefaults(c.Env, function.Variable{Name: "SHUTDOWN_DELAY", Value: strconv.Itoa(int(drain / time.Second))}, function.Variable{Name: "SHUTDOWN_TIMEOUT", Value: strconv.Itoa(g.f.Timeout)})
	return g.serve(ctx, c)
}

func (g *generation) serve(ctx context.Context, c Container) error {
	c.Name, c.Network = strings.Join([]string{"rtbuild", g.f.Namespace, g.f.Name, g.name}, "-"), networkName(g.f.Namespace)
	c.Aliases, c.Restart = []string{g.name}, true
	g.local.say("starting %s", g.f.Name)
	if err := g.join(ctx, c); err != nil {
		return err
	}
	return awaitReady(ctx, g.server)
}

// join starts the server in its network, which is made unless it is there.
func (g *generation) join(ctx context.Context, c Container) (err error) {
	unlock, err := g.local.alone(ctx, networkLock(g.f.Namespace))
	if err != nil {
		return err
	}
	defer unlock()
	if err := g.local.Host.EnsureNetwork(ctx, c.Network, map[string]string{namespaceLabel: g.f.Namespace, partLabel: networkPart}); err != nil {
		return err
	}
	if g.server, err = g.local.Host.Keep(ctx, c); err != nil {
		return fmt.Errorf("starting the runtime phase: %w", err)
	}
	return nil
}

// limit sets what the container may take.
func (g *generation) limit(c *Container) (err error) {
	if c.Memory, err = function.ParseMemory(g.f.Memory); err != nil {
		return err
	}
	c.CPU, err = function.ParseCPU(g.f.CPU)
	return err
}

// withDefaults adds variables that are not set.
func withDefaults(env []function.Variable, defaults ...function.Variable) []function.Variable {
	for _, v := range defaults {
		if !slices.ContainsFunc(env, func(set function.Variable) bool { return set.Name == v.Name }) {
			env = append(env, v)
		}
	}
	return env
}

// Where a source's volume has its parts.
const (
	sourceFiles = "files/"
	sourceDeps  = "dependencies"
)

// keepSource keeps what the function is deployed from, for updates of something
// else.
func (g *generation) keepSource(ctx context.Context) error {
	var files []function.File
	for _, file := range g.f.Source.Files {
		file.Name = sourceFiles + file.Name
		files = append(files, file)
	}
	files = append(files, function.File{Name: sourceDeps, Content: g.f.Dependencies})
	return g.volume(ctx, sourcePart, files)
}

// secrets makes a volume of each secret.
func (g *generation) secrets(ctx context.Context) ([]Mount, error) {
	var mounts []Mount
	for _, s := range g.f.Secrets {
		if s.Files == nil {
			return nil, fmt.Errorf("secret %s: there is no store of secrets here: say where its files are, as in --secrets %s=FOLDER", s.Name, s.Name)
		}
		if err := g.volume(ctx, secretPart, s.Files); err != nil {
			return nil, err
		}
		mounts = append(mounts, Mount{Volume: g.volumes[len(g.volumes)-1], Path: "/" + s.Name})
	}
	return mounts, nil
}

func (g *generation) volume(ctx context.Context, part string, files []function.File) error {
	labels, err := labelsOf(g.f, part, g.name)
	if err != nil {
		return err
	}
	name, err := g.local.Host.CreateVolume(ctx, Volume{Image: g.images[manifest.RuntimePhase].ID, Group: function.Group, Files: files, Labels: labels})
	if err == nil {
		g.volumes = append(g.volumes, name)
	}
	return err
}

// remove removes what the generation made, also when ctx has ended.
func (g *generation) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	var errs []error
	if g.server != nil {
		errs = append(errs, g.server.Remove(ctx))
	}
	for _, volume := range g.volumes {
		errs = append(errs, g.local.Host.RemoveVolume(ctx, volume))
	}
	return errors.Join(errs...)
}

// retire ends a generation that gets no more calls, and removes it.
func (l *Local) retire(ctx context.Context, server Kept) error {
	record, err := readRecord(server.Labels())
	if err != nil {
		record.Timeout = function.DefaultTimeout
	}
	grace := drain + time.Duration(record.Timeout)*time.Second + spare
	if err := errors.Join(server.Stop(ctx, grace), server.Remove(ctx)); err != nil {
		return err
	}
	return l.removeVolumes(ctx, map[string]string{
		nameLabel: server.Labels()[nameLabel], namespaceLabel: server.Labels()[namespaceLabel], generationLabel: server.Labels()[generationLabel],
	})
}

func (l *Local) removeVolumes(ctx context.Context, labels map[string]string) error {
	volumes, err := l.Host.FindVolumes(ctx, labels)
	for _, volume := range volumes {
		err = errors.Join(err, l.Host.RemoveVolume(ctx, volume))
	}
	return err
}
