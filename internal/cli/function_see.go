package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/function"
)

func (a *app) functionCallCommand(target *functionOptions) *cobra.Command {
	var c function.Call
	var headers []string
	cmd := &cobra.Command{
		Use:   "call NAME",
		Short: "Call a function and print what it answers",
		Long: `Call a function: GET without --data, POST with it. What it answers is printed; an
answer of status 400 or more is an error, and goes to stderr.`,
		Args: oneFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			added, err := pairs("header", headers, "NAME:VALUE")
			if err != nil {
				return err
			}
			c.Header = map[string]string{}
			for _, h := range added {
				c.Header[h.Name] = strings.TrimSpace(h.Value)
			}
			return a.withTarget(cmd, target, func(ctx context.Context, on function.Target) error {
				answer, err := on.Call(ctx, target.namespace, args[0], c)
				if err != nil {
					return err
				}
				return a.printAnswer(args[0], answer)
			})
		},
	}
	cmd.Flags().StringVarP(&c.Data, "data", "d", "", "the data to send")
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "add a header, `NAME:VALUE`; may be repeated")
	return cmd
}

// calledAnswer is an answer as JSON.
type calledAnswer struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header"`
	Body   string              `json:"body"`
}

func (a *app) printAnswer(name string, answer function.Answer) error {
	if answer.Status >= 400 {
		fmt.Fprintln(a.Streams.Err, strings.TrimRight(string(answer.Body), "\n"))
		return fmt.Errorf("function %s answered with status %d; rtbuild function logs %s may say why", name, answer.Status, name)
	}
	printed := calledAnswer{Status: answer.Status, Header: answer.Header, Body: string(answer.Body)}
	return a.print(printed, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, string(answer.Body))
		return err
	})
}

func (a *app) functionLogsCommand(target *functionOptions) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print what a function printed",
		Args:  oneFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withTarget(cmd, target, func(ctx context.Context, on function.Target) error {
				err := on.Logs(ctx, target.namespace, args[0], follow, a.Streams.Out)
				if follow && ctx.Err() != nil {
					return nil // whoever follows ends that
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what it will print, until interrupted")
	return cmd
}

func (a *app) functionListCommand(target *functionOptions) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:         "list [NAME...]",
		Aliases:     []string{"ls"},
		Short:       "List functions, and whether they are ready",
		Annotations: map[string]string{moreFormats: "wide"},
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace := target.namespace
			if all {
				namespace = ""
			}
			return a.withTarget(cmd, target, func(ctx context.Context, on function.Target) error {
				found, err := on.List(ctx, namespace)
				if err != nil {
					return err
				}
				if found, err = named(found, args, namespace); err != nil {
					return err
				}
				return a.print(notNil(found), func(out io.Writer) error { return functionTable(out, found) })
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all-namespaces", false, "those of all namespaces")
	a.outFlag(cmd)
	return cmd
}

// outFlag adds kubeless' name of --output.
func (a *app) outFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.Flags.Output, "out", "o", "text", "as --output")
}

// named are the functions of these names, all without any.
func named(found []function.Status, names []string, namespace string) ([]function.Status, error) {
	if len(names) == 0 {
		return found, nil
	}
	var there []string
	for _, s := range found {
		there = append(there, s.Name)
	}
	for _, name := range names {
		if !slices.Contains(there, name) {
			return nil, &function.NotFoundError{Name: name, Namespace: namespace, There: there}
		}
	}
	return slices.DeleteFunc(found, func(s function.Status) bool { return !slices.Contains(names, s.Name) }), nil
}

func functionTable(out io.Writer, found []function.Status) error {
	var rows [][]string
	for _, s := range found {
		rows = append(rows, []string{s.Name, s.Namespace, s.Handler, s.Runtime, s.Status, s.URL, age(s.Deployed)})
	}
	return table(out, []string{"NAME", "NAMESPACE", "HANDLER", "RUNTIME", "STATUS", "URL", "AGE"}, rows)
}

func (a *app) functionDescribeCommand(target *functionOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe NAME",
		Short: "Tell what is known of a function",
		Args:  oneFunction,

		Annotations: map[string]string{moreFormats: "yaml"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withTarget(cmd, target, func(ctx context.Context, on function.Target) error {
				status, err := on.Describe(ctx, target.namespace, args[0])
				if err != nil {
					return err
				}
				return a.print(status, func(out io.Writer) error { return describeFunction(out, status) })
			})
		},
	}
	a.outFlag(cmd)
	return cmd
}

func describeFunction(out io.Writer, s function.Status) error {
	rows := [][]string{
		{"Namespace:", s.Namespace}, {"Handler:", s.Handler}, {"Runtime:", s.Runtime}, {"Status:", s.Status}, {"URL:", s.URL},
		{"Source:", s.Source}, {"Timeout:", fmt.Sprintf("%d s", s.Timeout)}, {"Deployed:", s.Deployed.Format("2006-01-02 15:04:05 MST")},
	}
	for _, row := range [][]string{{"Checksum:", s.Digest}, {"Memory:", s.Memory}, {"CPU:", s.CPU}, {"Image:", s.Image}, {"Secrets:", strings.Join(s.Secrets, ", ")}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	for _, v := range s.Env {
		rows = append(rows, []string{"Env:", v.Name + "=" + v.Value})
	}
	return table(out, []string{"Name:", s.Name}, rows)
}

func (a *app) functionDeleteCommand(target *functionOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME...",
		Short: "End functions when they have answered what they had, and remove all of them",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return invocation.Usagef("rtbuild function delete: want the name of a function")
			}
			return a.withTarget(cmd, target, func(ctx context.Context, on function.Target) error {
				var errs []error
				for _, name := range args {
					errs = append(errs, on.Delete(ctx, target.namespace, name))
				}
				return errors.Join(errs...)
			})
		},
	}
}
