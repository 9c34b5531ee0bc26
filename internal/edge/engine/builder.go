package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/rtbuild/rtbuild/pkg/build"
)

var _ build.Builder = (*builder)(nil)

// product is what engines are told that they are used by.
const product = "rtbuild"

// builder is a build.Builder over one engine.
type builder struct {
	engine      *engine
	credentials *credentials
	display     *display
	concurrent  *concurrentBuilds
	retry       pushRetry

	closing  sync.Once
	closeErr error
}

// Capabilities implements build.Builder.
func (b *builder) Capabilities() build.Capabilities { return b.engine.caps }

// Close implements build.Builder. Only the first call does something; later
// ones return its error again.
func (b *builder) Close() error {
	b.closing.Do(func() {
		b.display.close()
		if err := b.engine.stop(); err != nil {
			b.closeErr = fmt.Errorf("closing %s: %w", b.engine.caps.Engine, err)
		}
	})
	return b.closeErr
}

// Build implements build.Builder.
func (b *builder) Build(ctx context.Context, req build.Request) (build.Result, error) {
	result, err := b.build(ctx, req)
	var step *build.StepError
	switch {
	case req.Context != nil && req.Context.Changed() != nil:
		// The engine says in words of its own that a file could not be had.
		return build.Result{}, fmt.Errorf("building %s: %w", req.Name, req.Context.Changed())
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		// Whatever the engine says now, it says because it was stopped.
		return build.Result{}, fmt.Errorf("building %s: %w", req.Name, context.Cause(ctx))
	case errors.As(err, &step):
		return build.Result{}, err
	}
	return build.Result{}, fmt.Errorf("building %s with %s: %w", req.Name, b.engine.caps.Engine, adviseLost(b.engine.trust.advise(err)))
}

func (b *builder) build(ctx context.Context, req build.Request) (build.Result, error) {
	if err := validate(req); err != nil {
		return build.Result{}, err
	}
	if err := b.engine.store.admit(req); err != nil {
		return build.Result{}, err
	}
	secret, err := openConfidences(req)
	if err != nil {
		return build.Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	opt, err := solveOpt(req, cancel)
	if err != nil {
		return build.Result{}, err
	}
	if err := b.engine.store.prepare(ctx, req, &opt); err != nil {
		return build.Result{}, err
	}
	show := b.display.attach(req.Name)
	logins, err := b.credentials.session(req, show)
	if err != nil {
		return build.Result{}, err
	}
	opt.Session = append(secret.attachables, logins)
	var result build.Result
	cached := true
	// What was built is cached by the engine when the push is tried again.
	err = b.retry.do(ctx, show, func() error {
		response, steps, err := b.solve(ctx, req, opt, secret.mask, show)
		cached = cached && steps.cached()
		if err != nil {
			return b.blame(ctx, req, steps, err)
		}
		result, err = b.engine.store.finish(ctx, req, response, show)
		return err
	})
	if err != nil {
		return build.Result{}, err
	}
	result.Cached = cached
	return result, nil
}

// solve runs one build. It returns a record of the build's steps with an
// error too.
func (b *builder) solve(ctx context.Context, req build.Request, opt client.SolveOpt, mask *mask, show func(*client.SolveStatus)) (map[string]string, *stepRecord, error) {
	statuses := make(chan *client.SolveStatus)
	steps := newStepRecord()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b.concurrent.follow(steps, mask.over(statuses), show)
	}()
	response, err := b.engine.client.Build(ctx, opt, product, frontend(req), statuses)
	<-drained // Build closes statuses
	if err != nil {
		return nil, steps, err
	}
	return response.ExporterResponse, steps, nil
}

// validate refuses requests that no engine could serve rightly.
func validate(req build.Request) error {
	switch {
	case req.Context == nil:
		return errors.New("the request has no context")
	case len(req.Dockerfile) == 0:
		return errors.New("the request has no Dockerfile")
	case req.DockerfileName == "" || req.DockerfileName != filepath.Base(req.DockerfileName):
		return fmt.Errorf("the Dockerfile's name %q is not a base name", req.DockerfileName)
	case req.Push && len(req.References) == 0:
		return errors.New("the request says to push, but not where to")
	}
	if req.Push {
		for _, ref := range req.References {
			if _, err := taggedReference(ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// solveOpt is the part of a solve that is the same for every engine. It asks
// for no attestations: a provenance holds the time of its build, so that
// building the same again would give another digest. Layers are compressed as
// the engine does by default. Failed is told of a file that cannot be sent.
func solveOpt(req build.Request, failed func(error)) (client.SolveOpt, error) {
	files, err := openContext(req, failed)
	if err != nil {
		return client.SolveOpt{}, fmt.Errorf("opening the context: %w", err)
	}
	attrs := map[string]string{"filename": req.DockerfileName}
	for name, value := range req.Args {
		attrs["build-arg:"+name] = value
	}
	if !req.Epoch.IsZero() {
		attrs["build-arg:"+epochArg] = strconv.FormatInt(req.Epoch.Unix(), 10)
	}
	for name, value := range req.Labels {
		attrs["label:"+name] = value
	}
	if req.Stage != "" {
		attrs["target"] = req.Stage
	}
	if len(req.Platforms) > 0 {
		attrs["platform"] = strings.Join(req.Platforms, ",")
	}
	opt := client.SolveOpt{
		FrontendAttrs: attrs,
		LocalMounts:   map[string]fsutil.FS{"context": files, "dockerfile": mountDockerfile(req)},
		SharedKey:     sharedKey(req),
	}
	return opt, nameContexts(req, &opt)
}
