// Command runtimes measures the servers of function runtimes: requests per
// second and latencies by clients and load, memory, cold start and image size,
// of the image as it is, of its worker without the proxy, and of
// functions-framework in the same image.
//
//	go run ./bench/runtimes --runtimes python,nodejs:20 --loads hello --seconds 5
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/function"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "runtimes:", err)
		}
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	root, registry, output string
	runtimes               []string
	env                    []function.Variable
	bench                  bench
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("runtimes", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.root, "root", ".", "the repository's `folder`")
	set.StringVar(&o.registry, "registry", "", "`HOST[/PREFIX]` of the images; default: as the manifests have them")
	set.StringVar(&o.output, "output", "table", "`FORMAT` of the results: table or json")
	names := set.String("runtimes", "", "`NAMES` of runtimes, python or python:3.13, with commas between; default: the newest of each")
	clients := set.String("clients", "1,32,256", "how many clients call at once: `NUMBERS`")
	selected := set.String("loads", "", "`NAMES` of loads: hello, json1k, json100k; default: all")
	servers := set.String("servers", strings.Join(serverNames(), ","), "`NAMES` of servers")
	during := set.Float64("seconds", 3, "`SECONDS` of each measurement, after 1 s of calls that do not count")
	set.Func("env", "`NAME=VALUE` for functions and their installation, more than once", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return errors.New("want NAME=VALUE")
		}
		o.env = append(o.env, function.Variable{Name: name, Value: value})
		return nil
	})
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: runtimes are chosen with --runtimes", set.Arg(0))
	}
	if *during <= 0 {
		return o, errors.New("--seconds must be more than 0")
	}
	if o.output != "table" && o.output != "json" {
		return o, fmt.Errorf("--output %q: want table or json", o.output)
	}
	o.runtimes = words(*names)
	o.bench = bench{root: o.root, during: time.Duration(*during * float64(time.Second)), progress: stderr}
	var errs [3]error
	o.bench.loads, errs[0] = chooseLoads(words(*selected))
	o.bench.clients, errs[1] = numbers(words(*clients))
	o.bench.servers, errs[2] = chooseServers(words(*servers))
	return o, errors.Join(errs[:]...)
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func chooseLoads(names []string) ([]load, error) {
	all := loads()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []load
	for _, name := range names {
		i := slices.IndexFunc(all, func(l load) bool { return l.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no load %q; there are hello, json1k and json100k", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func chooseServers(names []string) ([]string, error) {
	for _, name := range names {
		if !slices.Contains(serverNames(), name) {
			return nil, fmt.Errorf("there is no server %q; there are: %s", name, strings.Join(serverNames(), ", "))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("--servers is empty")
	}
	return names, nil
}

func numbers(texts []string) ([]int, error) {
	var found []int
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("--clients: %q is not a number of clients", text)
		}
		found = append(found, n)
	}
	if len(found) == 0 {
		return nil, errors.New("--clients is empty")
	}
	return found, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	chosen, err := subjects(ctx, o.root, o.registry, o.runtimes)
	if err != nil {
		return err
	}
	containers, err := docker.Open(ctx, docker.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, containers.Close()) }()
	o.bench.engine = containers
	began := time.Now()
	d := &document{
		Schema: "rtbuild.bench.runtimes", Version: 1, Started: began.UTC().Truncate(time.Second), Engine: containers.Name(),
		CPUs: runtime.NumCPU(), WarmUpSeconds: seconds(warmUp), MeasureSeconds: seconds(o.bench.during), Servers: []*server{},
	}
	for _, subject := range chosen {
		if ctx.Err() != nil {
			break
		}
		subject.Env = o.env
		d.Servers = append(d.Servers, o.bench.runtime(ctx, subject)...)
	}
	d.Seconds = seconds(time.Since(began))
	if o.output == "json" {
		err = d.json(stdout)
	} else {
		err = d.table(stdout, o.bench.clients, o.bench.loads)
	}
	if ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return errors.Join(err, d.err())
}
