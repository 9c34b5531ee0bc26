package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/download"
	"github.com/rtbuild/rtbuild/pkg/function"
)

// deployOptions are the flags that describe a function.
type deployOptions struct {
	runtime, handler, source, checksum, dependencies string
	env, labels, secrets                             []string
	timeout, memory, cpu                             string
	port, servicePort                                int
	image, readyPath                                 string
}

func (o *deployOptions) flags(set *pflag.FlagSet) {
	set.StringVarP(&o.runtime, "runtime", "r", "", "the `RUNTIME` and its version, as python3.13")
	set.StringVar(&o.handler, "handler", "", "`MODULE.FUNCTION`: the source file's name without its extension, and the function in it")
	set.StringVarP(&o.source, "from-file", "f", "", "the source: a file, a folder, a zip or tar (gz, bz2, xz), or an http(s) `ADDRESS` of one")
	set.StringVar(&o.checksum, "checksum", "", "refuse a source of another checksum than `sha256:HEX`")
	set.StringVarP(&o.dependencies, "dependencies", "d", "", "the dependency `FILE` (requirements.txt, package.json, ...)")
	set.StringSliceVarP(&o.env, "env", "e", nil, "environment, `NAME=VALUE`; may be repeated, or several with commas between them")
	set.StringSliceVarP(&o.labels, "label", "l", nil, "labels, `KEY=VALUE`; may be repeated")
	set.StringSliceVar(&o.secrets, "secrets", nil, "mount the files of a folder at /NAME: `NAME=FOLDER`; may be repeated")
	set.StringVar(&o.timeout, "timeout", strconv.Itoa(function.DefaultTimeout), "the time of a call in `SECONDS`")
	set.StringVar(&o.memory, "memory", "", "the most memory that it may take, as `128Mi`")
	set.StringVar(&o.cpu, "cpu", "", "the most CPU that it may take, as `500m` or 2")
	set.IntVar(&o.port, "port", function.DefaultPort, "where the function serves, and its port on this machine's loopback if it is given (default there: any that is free)")
	set.IntVar(&o.servicePort, "servicePort", 0, "its port on this machine's loopback, if it shall be another")
}

func (a *app) functionDeployCommand(target *functionOptions) *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "deploy NAME --runtime RUNTIME --handler MODULE.FUNCTION --from-file SOURCE",
		Short: "Deploy a function, or put it in the place of the one of this name",
		Long: `Bring a function's source and dependencies through the phases of its runtime, start
it, and print its address. A function of this name is replaced: calls go to the new
one when it is ready, the old one ends when it has answered what it had, and the
address stays. If anything fails, all is as it was.

The images are those that rtbuild build left in the engine; others are pulled.`,
		Example: `  rtbuild function deploy get-python --runtime python3.13 --handler helloget.handler --from-file helloget.py`,
		Args:    oneFunction,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return checkKubelessFlags(cmd.Flags()) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				if err := o.check(target); err != nil {
					return err
				}
				f, err := s.functionOf(ctx, args[0], target.namespace, &o)
				if err != nil {
					return err
				}
				if err := s.intoImage(ctx, f, o.image); err != nil {
					return err
				}
				return s.deploy(ctx, target, f, o.placing(cmd.Flags()))
			})
		},
	}
	o.flags(cmd.Flags())
	o.imageFlags(cmd.Flags())
	kubelessFlags(cmd.Flags())
	a.outFlag(cmd)
	return cmd
}

func (a *app) functionUpdateCommand(target *functionOptions) *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change what the flags say of a function, and keep the rest",
		Long: `Deploy a function again with what the flags change; all else, the source too, is as
it was deployed. No call is lost.`,
		Args:    oneFunction,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return checkKubelessFlags(cmd.Flags()) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				if err := o.check(target); err != nil {
					return err
				}
				return s.onTarget(ctx, target, func(ctx context.Context, on function.Target) error {
					return s.update(ctx, on, cmd.Flags(), args[0], target, &o)
				})
			})
		},
	}
	o.flags(cmd.Flags())
	o.imageFlags(cmd.Flags())
	kubelessFlags(cmd.Flags())
	a.outFlag(cmd)
	return cmd
}

// check is what is wrong with flags of a target.
func (o *deployOptions) check(target *functionOptions) error {
	inCluster, err := target.onKubernetes()
	if err != nil {
		return err
	}
	if !inCluster && o.readyPath != "" {
		return invocation.Usagef("--ready-path goes with --target kubernetes")
	}
	return o.checkImage()
}

// placing says where a function is published: where --port was given, there.
func (o *deployOptions) placing(set *pflag.FlagSet) function.Placing {
	switch {
	case o.servicePort != 0:
		return function.Placing{HostPort: o.servicePort}
	case set.Changed("port"):
		return function.Placing{HostPort: o.port}
	}
	return function.Placing{}
}

// functionOf is the function that the flags describe, with nothing wrong in it.
func (s *session) functionOf(ctx context.Context, name, namespace string, o *deployOptions) (*function.Function, error) {
	if o.runtime == "" || o.handler == "" || o.source == "" {
		return nil, invocation.Usagef("function %s: --runtime, --handler and --from-file are needed", name)
	}
	f := &function.Function{Name: name, Namespace: namespace}
	if err := s.fill(ctx, f, o); err != nil {
		return nil, err
	}
	var err error
	if f.Source, err = s.readSource(ctx, o); err != nil {
		return nil, err
	}
	if f.Dependencies, err = readDependencies(o.dependencies); err != nil {
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, &invocation.UsageError{Err: err}
	}
	return f, nil
}

// fill sets what the flags say beside the source.
func (s *session) fill(ctx context.Context, f *function.Function, o *deployOptions) error {
	destination, err := s.destination(ctx)
	if err != nil {
		return err
	}
	r, v, err := function.FindRuntime(s.project.Tree.Runtimes, o.runtime)
	if err != nil {
		return &invocation.UsageError{Err: err}
	}
	f.Runtime = s.project.FunctionRuntime(r, v, destination)
	f.Handler, f.Memory, f.CPU, f.Port, f.ReadyPath = o.handler, o.memory, o.cpu, o.port, o.readyPath
	if f.Timeout, err = strconv.Atoi(o.timeout); err != nil {
		return invocation.Usagef("--timeout %s: want seconds", o.timeout)
	}
	const form = `NAME=VALUE, and '"NAME=A,B"' with both quotes where the value has commas`
	if f.Env, err = pairs("env", o.env, form); err != nil {
		return err
	}
	labels, err := pairs("label", o.labels, form)
	if err != nil {
		return err
	}
	f.Labels = map[string]string{}
	for _, l := range labels {
		f.Labels[l.Name] = l.Value
	}
	f.Secrets, err = readSecrets(ctx, o.secrets)
	return err
}

// pairs splits what is written as form says: NAME=VALUE, or NAME:VALUE as
// kubeless takes it too.
func pairs(flag string, texts []string, form string) ([]function.Variable, error) {
	var all []function.Variable
	for _, text := range texts {
		i := strings.IndexAny(text, "=:")
		if i < 1 {
			return nil, invocation.Usagef("--%s %q: write %s", flag, text, form)
		}
		all = append(all, function.Variable{Name: text[:i], Value: text[i+1:]})
	}
	return all, nil
}

func loader() function.Loader {
	return function.Loader{Fetch: download.Get, Limits: function.DefaultLimits()}
}

func (s *session) readSource(ctx context.Context, o *deployOptions) (function.Source, error) {
	source, err := loader().Load(ctx, o.source, o.checksum)
	if err == nil && o.checksum == "" && strings.Contains(o.source, "://") {
		s.app.Notef("note: nothing says that %s is what was meant; --checksum %s does", o.source, source.Digest)
	}
	return source, err
}

func readDependencies(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the dependencies %s: there is no such file", name)
	}
	return content, err
}

// readSecrets reads secrets of the form NAME=FOLDER or NAME=FILE. One without a
// path is the target's to find.
func readSecrets(ctx context.Context, texts []string) ([]function.Secret, error) {
	var secrets []function.Secret
	for _, text := range texts {
		name, path, ok := strings.Cut(text, "=")
		secret := function.Secret{Name: name}
		if ok {
			read, err := function.Loader{Limits: function.DefaultLimits()}.Load(ctx, filepath.Clean(path), "")
			if err != nil {
				return nil, fmt.Errorf("secret %s: %w", name, err)
			}
			secret.Files = read.Files
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// deploy deploys a function and prints where it is.
func (s *session) deploy(ctx context.Context, target *functionOptions, f *function.Function, at function.Placing) error {
	return s.onTarget(ctx, target, func(ctx context.Context, on function.Target) error {
		status, err := on.Deploy(ctx, f, at)
		if err != nil {
			return fmt.Errorf("deploying function %s: %w", f.Name, err)
		}
		return s.app.printDeployed(status)
	})
}

func (a *app) printDeployed(status function.Status) error {
	return a.print(status, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s\t%s\n", status.Name, status.URL)
		return err
	})
}

// update deploys a function again, with what the flags change.
func (s *session) update(ctx context.Context, on function.Target, set *pflag.FlagSet, name string, target *functionOptions, o *deployOptions) error {
	status, err := on.Update(ctx, target.namespace, name, o.placing(set), func(ctx context.Context, was function.Status) (*function.Function, error) {
		return s.updated(ctx, on, set, was, target, *o)
	})
	if err != nil {
		return fmt.Errorf("updating function %s: %w", name, err)
	}
	return s.app.printDeployed(status)
}

// updated is a function with what the flags change.
func (s *session) updated(ctx context.Context, on function.Target, set *pflag.FlagSet, was function.Status, target *functionOptions, o deployOptions) (*function.Function, error) {
	o.keep(set, was.Record)
	if target.target == "kubernetes" && !set.Changed("secrets") {
		o.secrets = was.Secrets // which the cluster keeps
	}
	f := &function.Function{Name: was.Name, Namespace: was.Namespace}
	if err := s.fill(ctx, f, &o); err != nil {
		return nil, err
	}
	if len(was.Secrets) > 0 && len(o.secrets) == 0 && !set.Changed("secrets") {
		return nil, invocation.Usagef("function %s has secrets (%s), which are not kept to be deployed again: say where they are with --secrets NAME=FOLDER", was.Name, strings.Join(was.Secrets, ", "))
	}
	if err := s.fillSource(ctx, on, f, set, was.Record, &o); err != nil {
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, &invocation.UsageError{Err: err}
	}
	return f, s.intoImage(ctx, f, o.image)
}

// fillSource sets the source and the dependencies: those of the flags, else those
// that the function was deployed from.
func (s *session) fillSource(ctx context.Context, on function.Target, f *function.Function, set *pflag.FlagSet, was function.Record, o *deployOptions) (err error) {
	switch {
	case was.Image == "":
		if f.Source, f.Dependencies, err = on.Source(ctx, f.Namespace, f.Name); err != nil {
			return err
		}
	case !set.Changed("from-file") || was.Dependencies && !set.Changed("dependencies"):
		return invocation.Usagef("function %s is in an image, which its source is not read from: name that again, with --from-file and, where it has some, --dependencies", f.Name)
	}
	if set.Changed("from-file") {
		if f.Source, err = s.readSource(ctx, o); err != nil {
			return err
		}
	}
	if set.Changed("dependencies") {
		f.Dependencies, err = readDependencies(o.dependencies)
	}
	return err
}

// keep sets what no flag says to what was.
func (o *deployOptions) keep(set *pflag.FlagSet, was function.Record) {
	texts := func(flag string, value *string, before string) {
		if !set.Changed(flag) {
			*value = before
		}
	}
	texts("runtime", &o.runtime, was.Runtime)
	texts("handler", &o.handler, was.Handler)
	texts("timeout", &o.timeout, strconv.Itoa(was.Timeout))
	texts("memory", &o.memory, was.Memory)
	texts("cpu", &o.cpu, was.CPU)
	texts("ready-path", &o.readyPath, was.ReadyPath)
	texts("image", &o.image, imageRepository(was.Image))
	if !set.Changed("port") {
		o.port = was.Port
	}
	if !set.Changed("env") {
		for _, v := range was.Env {
			o.env = append(o.env, v.Name+"="+v.Value)
		}
	}
	if !set.Changed("label") {
		for key, value := range was.Labels {
			o.labels = append(o.labels, key+"="+value)
		}
	}
}
