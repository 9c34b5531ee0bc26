package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/internal/edge/flock"
	"github.com/rtbuild/rtbuild/internal/edge/kubectl"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
	"github.com/rtbuild/rtbuild/pkg/function/kubernetes"
)

// functionOptions are the flags of all commands under function.
type functionOptions struct {
	namespace, target   string
	context, kubeconfig string
}

func (o *functionOptions) flags(set *pflag.FlagSet) {
	set.StringVarP(&o.namespace, "namespace", "n", function.DefaultNamespace, "the functions' namespace; on Docker it is a network of its own")
	set.StringVar(&o.target, "target", "docker", "where functions live: docker, or kubernetes, by way of your kubectl")
	set.StringVar(&o.context, "context", "", "with --target kubernetes: the `CONTEXT` of kubectl's configuration (default: its current one)")
	set.StringVar(&o.kubeconfig, "kubeconfig", "", "with --target kubernetes: kubectl's configuration `FILE` (default: kubectl's own choice)")
}

// onKubernetes tells whether functions live in a cluster.
func (o *functionOptions) onKubernetes() (bool, error) {
	switch {
	case o.target == "kubernetes":
		return true, nil
	case o.target != "docker":
		return false, invocation.Usagef("--target %s: want docker or kubernetes", o.target)
	case o.context != "" || o.kubeconfig != "":
		return false, invocation.Usagef("--context and --kubeconfig say which cluster: add --target kubernetes")
	}
	return false, nil
}

func (a *app) functionCommand() *cobra.Command {
	var o functionOptions
	cmd := &cobra.Command{
		Use:   "function",
		Short: "Deploy, call and update functions on Docker or Kubernetes, as their users will run them",
		Long: `Deploy a function in the images of a runtime, call it, update it without losing a
call. Commands and flags are those of kubeless' own "kubeless function".
docs/FUNCTIONS.md says what runs where.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	o.flags(cmd.PersistentFlags())
	a.addFunctionCommands(cmd, &o)
	// Scripts with KUBELESS="rtbuild function" say $KUBELESS function deploy.
	again := &cobra.Command{Use: "function", Hidden: true, Args: noCommand, RunE: cmd.RunE}
	a.addFunctionCommands(again, &o)
	cmd.AddCommand(again)
	return cmd
}

func (a *app) addFunctionCommands(cmd *cobra.Command, o *functionOptions) {
	cmd.AddCommand(a.functionDeployCommand(o), a.functionUpdateCommand(o), a.functionCallCommand(o), a.functionLogsCommand(o),
		a.functionListCommand(o), a.functionDescribeCommand(o), a.functionDeleteCommand(o), a.functionRenderCommand(o))
}

// withTarget opens the target that the flags name and does something with it.
func (a *app) withTarget(cmd *cobra.Command, o *functionOptions, do func(ctx context.Context, target function.Target) error) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	return s.onTarget(cmd.Context(), o, do)
}

func (s *session) onTarget(ctx context.Context, o *functionOptions, do func(ctx context.Context, target function.Target) error) error {
	inCluster, err := o.onKubernetes()
	if err != nil {
		return err
	}
	if inCluster {
		cluster := kubectl.New(kubectl.Config{Kubeconfig: o.kubeconfig, Context: o.context})
		return hinted(do(ctx, &kubernetes.Deployer{Cluster: cluster, Say: s.app.Notef}), o.namespace)
	}
	return s.onDocker(ctx, func(engine *docker.Engine) error {
		return do(ctx, s.app.local(engine))
	})
}

// hinted says how a namespace that is missing comes to be.
func hinted(err error, namespace string) error {
	if errors.Is(err, kubectl.ErrNoNamespace) {
		return fmt.Errorf("%w; kubectl create namespace %s makes it", err, namespace)
	}
	return err
}

// local keeps functions on an engine.
func (a *app) local(engine *docker.Engine) *containers.Local {
	return &containers.Local{Host: engine, Say: a.Notef, Alone: a.aloneWith}
}

// patience is how long one waits for another without being told.
const patience = 2 * time.Second

// aloneWith keeps other runs of this user from what goes by this name, and waits
// for those who have it. Functions are the machine's and not a tree's, and so are
// these locks.
func (a *app) aloneWith(ctx context.Context, name string) (unlock func(), err error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		folder = os.TempDir()
	}
	folder = filepath.Join(folder, "rtbuild", "locks")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of locks: %w", err)
	}
	waiting := time.AfterFunc(patience, func() { a.Notef("waiting for another rtbuild that has %s", name) })
	defer waiting.Stop()
	lock, err := flock.Wait(ctx, filepath.Join(folder, name), 0o600)
	if err != nil {
		return nil, err
	}
	return a.warned(lock.Release), nil
}

// onDocker opens the Docker engine and does something with it.
func (s *session) onDocker(ctx context.Context, do func(engine *docker.Engine) error) (err error) {
	engine, err := s.openContainers(ctx, s.Builder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return s.explained(do(engine))
}

// explained prints the log of what failed, a phase's or a container's, before
// the error.
func (s *session) explained(err error) error {
	var failed interface{ Log(lines int) []string }
	if !errors.As(err, &failed) {
		return err
	}
	for _, line := range failed.Log(40) {
		fmt.Fprintln(s.app.Streams.Err, line)
	}
	return err
}

// oneFunction wants the name of a function.
func oneFunction(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return invocation.Usagef("rtbuild function %s: want the name of one function", cmd.Name())
	}
	if err := function.CheckName(args[0]); err != nil {
		return &invocation.UsageError{Err: err}
	}
	return nil
}

// age is how long ago something was, for people.
func age(since time.Time) string {
	switch d := time.Since(since); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
