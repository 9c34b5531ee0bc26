package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

const (
	// warmUp is how long clients call before each measurement.
	warmUp = time.Second
	// coldStarts is how often each server is started; the last one is measured.
	coldStarts = 3
	// startLimit bounds a start, startPause is between two tries to call.
	startLimit = 2 * time.Minute
	startPause = 5 * time.Millisecond
	// checkLimit bounds the call that shows that a server does what is measured.
	checkLimit = 30 * time.Second
)

// A bench measures servers, one after the other.
type bench struct {
	engine containers.Engine
	root   string
	// servers are names of serverNames.
	servers []string
	clients []int
	loads   []load
	// during is the time of one measurement.
	during time.Duration
	// progress is for people.
	progress io.Writer
}

// runtime measures all servers of one runtime. What cannot be had is in their
// reports.
func (b *bench) runtime(ctx context.Context, subject contract.Subject) []*server {
	var reports []*server
	if slices.ContainsFunc(ownNames(), func(name string) bool { return slices.Contains(b.servers, name) }) {
		reports = append(reports, b.own(ctx, subject)...)
	}
	if f, ok := frameworks()[subject.Runtime]; ok && slices.Contains(b.servers, asFramework) {
		report := b.report(subject, asFramework)
		report.fail(b.framework(ctx, subject, f, report))
		reports = append(reports, report)
	}
	return reports
}

func (b *bench) report(subject contract.Subject, name string) *server {
	return &server{Runtime: subject.Runtime, Version: subject.Version, Server: name, ColdStarts: []coldStart{}, Measurements: []measurement{}}
}

// own measures the image with the contract function, and its worker alone.
func (b *bench) own(ctx context.Context, subject contract.Subject) (reports []*server) {
	for _, name := range ownNames() {
		if slices.Contains(b.servers, name) {
			reports = append(reports, b.report(subject, name))
		}
	}
	prepared, err := contract.Deploy(ctx, b.engine, subject, "contract", false)
	if err != nil {
		reports[0].fail(err)
		return reports[:1]
	}
	for _, report := range reports {
		report.fail(b.deployed(ctx, prepared, report))
	}
	reports[len(reports)-1].fail(prepared.Remove(ctx))
	return reports
}

// framework measures functions-framework with a function of its own.
func (b *bench) framework(ctx context.Context, subject contract.Subject, f framework, report *server) (err error) {
	subject.Functions = filepath.Join(b.root, filepath.FromSlash(f.folder))
	prepared, err := contract.Deploy(ctx, b.engine, subject, "main", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, prepared.Remove(ctx)) }()
	spec := prepared.Container()
	spec.Command = f.command
	return b.site(ctx, site{spec: spec}, imageDetail{}, report)
}

// deployed measures the server that the report is of.
func (b *bench) deployed(ctx context.Context, prepared *containers.Prepared, report *server) error {
	at := site{spec: prepared.Container()}
	image, err := inspectImage(ctx, at.spec.Image)
	if err != nil {
		return err
	}
	switch report.Server {
	case asProxy:
		report.ImageBytes = image.Size
		return b.site(ctx, at, image, report)
	case asNetHTTP:
		at.spec.Env = slices.Concat(at.spec.Env, []function.Variable{{Name: "FUNC_LOOPS", Value: "0"}})
		return b.site(ctx, at, image, report)
	}
	at, report.Note, err = bareSite(ctx, at.spec, image)
	if err != nil || report.Note != "" {
		return err
	}
	return b.site(ctx, at, image, report)
}

// site starts a container some times and measures the last.
func (b *bench) site(ctx context.Context, s site, image imageDetail, report *server) (err error) {
	var running containers.Server
	var detail containerDetail
	for range coldStarts {
		if running != nil {
			if err := running.Remove(ctx); err != nil {
				return err
			}
		}
		var cold coldStart
		if running, detail, cold, err = b.start(ctx, s); err != nil {
			return err
		}
		report.ColdStarts = append(report.ColdStarts, cold)
	}
	defer func() { err = errors.Join(err, running.Remove(ctx)) }()
	at, err := s.endpoint(detail)
	if err != nil {
		return err
	}
	clients := b.clients
	if report.Server == asBare {
		most, err := callsAtOnce(ctx, at, image)
		if err != nil {
			return err
		}
		if most == 1 {
			report.Note = "takes one call at once: one client only"
			clients = slices.DeleteFunc(slices.Clone(clients), func(n int) bool { return n > 1 })
		}
	}
	for _, n := range clients {
		for _, l := range b.loads {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			m := b.measure(ctx, l, at, n, detail)
			report.Measurements = append(report.Measurements, m)
			fmt.Fprintf(b.progress, "%s %s: %s\n", report.name(), report.Server, m)
		}
	}
	return nil
}

// endpoint is where a running container of the site is called: at its own
// address, since a published port costs more than most servers do.
func (s site) endpoint(detail containerDetail) (endpoint, error) {
	if s.socket != "" {
		return endpoint{"unix", s.socket}, nil
	}
	return detail.address(s.spec.Port)
}

// start starts a container and calls it until it answers.
func (b *bench) start(ctx context.Context, s site) (_ containers.Server, detail containerDetail, cold coldStart, err error) {
	if s.socket != "" {
		if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, detail, cold, err
		}
	}
	began := time.Now()
	running, err := b.engine.Start(ctx, s.spec)
	if err != nil {
		return nil, detail, cold, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, running.Remove(ctx))
		}
	}()
	if err := b.firstAnswer(ctx, s, running); err != nil {
		return nil, detail, cold, err
	}
	ready := time.Now()
	if detail, err = inspectServer(ctx, running); err != nil {
		return nil, detail, cold, err
	}
	// The two clocks are one: the engine's is this machine's.
	cold = coldStart{Seconds: seconds(ready.Sub(began)), RunningSeconds: seconds(ready.Sub(detail.State.StartedAt))}
	return running, detail, cold, nil
}

// firstAnswer calls until a call is answered with 200. Here the published port
// will do, which is known without asking the engine.
func (b *bench) firstAnswer(ctx context.Context, s site, running containers.Server) error {
	at := endpoint{"unix", s.socket}
	if s.socket == "" {
		published, err := url.Parse(running.URL())
		if err != nil {
			return err
		}
		at = endpoint{"tcp", published.Host}
	}
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	hello := newLoad("first", http.MethodGet, "", nil)
	for {
		c := client{at: at}
		status, err := c.call(limited, hello.request)
		c.hangUp()
		if err == nil && status == http.StatusOK {
			return nil
		}
		state, stateErr := running.State(ctx)
		if stateErr == nil && state.Running && limited.Err() == nil {
			time.Sleep(startPause)
			continue
		}
		if err == nil {
			err = fmt.Errorf("status %d", status)
		}
		return errors.Join(fmt.Errorf("the server did not start: %w", err), stateErr, b.lastWords(ctx, running))
	}
}

// lastWords is the log of a server that did not start.
func (b *bench) lastWords(ctx context.Context, running containers.Server) error {
	output, err := running.Logs(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("its log: %s%s", output.Stdout, output.Stderr)
}

// measure is one measurement.
func (b *bench) measure(ctx context.Context, l load, at endpoint, clients int, detail containerDetail) measurement {
	m := measurement{Load: l.name, Clients: clients}
	m.fail(b.measureInto(ctx, l, at, detail, &m))
	return m
}

func (b *bench) measureInto(ctx context.Context, l load, at endpoint, detail containerDetail, m *measurement) (err error) {
	if m.LoadAverage, err = loadAverage(); err != nil {
		return err
	}
	checking, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	if err := l.check(checking, at); err != nil {
		return err
	}
	seen, err := l.run(ctx, at, m.Clients, warmUp, b.during)
	m.set(seen)
	if err != nil {
		return err
	}
	m.MemoryBytes, err = detail.memory()
	return err
}
