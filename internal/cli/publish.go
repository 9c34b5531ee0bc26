package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/cli/published"
	"github.com/rtbuild/rtbuild/internal/edge/kubectl"
	"github.com/rtbuild/rtbuild/pkg/configmap"
	"github.com/rtbuild/rtbuild/pkg/plural"
)

// liveOptions are the flags that have configmap look at a cluster.
type liveOptions struct {
	diff, apply, wait bool
	context           string
	restart           string
	timeout           time.Duration
}

func (o *liveOptions) flags(set *pflag.FlagSet) {
	set.BoolVar(&o.diff, "diff", false, "print what applying it would change in the cluster, and change nothing")
	set.BoolVar(&o.apply, "apply", false, "apply it, with kubectl, and print what that changed")
	set.StringVar(&o.restart, "restart-controller", "", "with --apply: restart the controller, if something changed, so that it reads the ConfigMap; `DEPLOYMENT` is its name")
	set.Lookup("restart-controller").NoOptDefVal = published.Controller
	set.BoolVar(&o.wait, "wait", false, "with --restart-controller: wait until it has restarted")
	set.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to --wait")
	set.StringVar(&o.context, "context", "", "the `CONTEXT` of kubectl's configuration (default: its current one)")
}

func (o *liveOptions) check() error {
	switch {
	case o.diff && o.apply:
		return invocation.Usagef("--diff changes nothing, and --apply prints the same: give one of them")
	case o.restart != "" && !o.apply:
		return invocation.Usagef("--restart-controller goes with --apply")
	case o.wait && o.restart == "":
		return invocation.Usagef("--wait is for the controller's restart: add --restart-controller; the ConfigMap itself is there when the command ends")
	case o.context != "" && !o.apply && !o.diff:
		return invocation.Usagef("--context goes with --diff or --apply")
	}
	return nil
}

// publication is what --diff and --apply print as JSON.
type publication struct {
	Name      string             `json:"name"`
	Namespace string             `json:"namespace"`
	Applied   bool               `json:"applied"`
	Restarted bool               `json:"restarted"`
	Changes   []configmap.Change `json:"changes"`
}

// publishConfigMap compares the ConfigMap with the cluster's, or applies it.
func (s *session) publishConfigMap(ctx context.Context, o published.Options, live liveOptions) error {
	o.ServerSide = true
	c, err := s.makeConfigMap(ctx, o)
	if err != nil {
		return err
	}
	cluster := kubectl.New(kubectl.Config{Context: live.context})
	compare := c.Compare
	if live.apply {
		compare = c.Apply
	}
	changes, err := compare(ctx, cluster)
	if errors.Is(err, kubectl.ErrNoNamespace) {
		return fmt.Errorf("%w; --namespace-object makes it", err)
	}
	if err != nil {
		return err
	}
	result := publication{Name: c.Name(), Namespace: c.Namespace(), Applied: live.apply, Changes: notNil(changes)}
	if live.restart != "" && len(changes) > 0 {
		if err := s.restart(ctx, cluster, c.Namespace(), live); err != nil {
			return errors.Join(fmt.Errorf("the ConfigMap is applied, but %w", err), s.app.printPublication(result))
		}
		result.Restarted = true
	}
	if err := s.app.printPublication(result); err != nil {
		return err
	}
	if live.apply && live.restart == "" && len(changes) > 0 {
		published.NoteRestart(&s.app.Invocation, c.Namespace())
	}
	return nil
}

func (s *session) restart(ctx context.Context, cluster *kubectl.Client, namespace string, live liveOptions) error {
	if err := cluster.Restart(ctx, namespace, live.restart); err != nil {
		return fmt.Errorf("the controller %s was not restarted: %w", live.restart, err)
	}
	if !live.wait {
		return nil
	}
	if err := cluster.AwaitRollout(ctx, namespace, live.restart, live.timeout); err != nil {
		return fmt.Errorf("the controller %s has not restarted: %w", live.restart, err)
	}
	return nil
}

func (a *app) printPublication(p publication) error {
	err := a.print(p, func(out io.Writer) error { return changeTable(out, p.Changes) })
	changes := plural.Count(len(p.Changes), "change")
	switch {
	case len(p.Changes) == 0:
		a.Notef("the cluster's ConfigMap %s in the namespace %s is the same", p.Name, p.Namespace)
	case p.Applied:
		a.Notef("applied %s to the ConfigMap %s in the namespace %s", changes, p.Name, p.Namespace)
	default:
		a.Notef("the cluster's ConfigMap %s in the namespace %s differs: %s", p.Name, p.Namespace, changes)
	}
	return err
}

func changeTable(out io.Writer, changes []configmap.Change) error {
	var rows [][]string
	for _, c := range changes {
		what := strings.TrimSpace(strings.Join([]string{c.Runtime, c.Version, c.Phase}, " "))
		if what == "" {
			what = c.Key
		}
		arrow := ""
		if c.Old != "" || c.New != "" {
			arrow = "→"
		}
		rows = append(rows, []string{c.Kind, what, shortValue(c.Old), arrow, shortValue(c.New)})
	}
	if len(rows) == 0 {
		return nil
	}
	return table(out, []string{"CHANGE", "WHAT", "LIVE", "", "NEW"}, rows)
}

// shortValue is enough of a value for a table: of an image the reference with a
// short digest, of anything else the start of one line.
func shortValue(value string) string {
	if name, digest, found := strings.Cut(value, "@sha256:"); found && !strings.ContainsAny(value, " \n") {
		return name + "@" + shortDigest("sha256:"+digest)
	}
	const most = 48
	line := []rune(strings.Join(strings.Fields(value), " "))
	if len(line) > most {
		return string(line[:most]) + "…"
	}
	return string(line)
}
