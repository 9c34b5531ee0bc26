package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/kubernetes"
)

func (a *app) functionRenderCommand(target *functionOptions) *cobra.Command {
	var o deployOptions
	var engine string
	cmd := &cobra.Command{
		Use:   "render NAME --runtime ID+VERSION --handler MODULE.FUNCTION --from-file SOURCE",
		Short: "Print a function's Kubernetes objects, for kubectl apply",
		Long: `Print what describes a function to Kubernetes: a ConfigMap with its source, a
Service, and a Deployment whose init containers are the function's phases. Its
Pods keep to Pod Security's restricted profile. With --for knative, print a
Knative Service instead. With --image, the function is installed and compiled here
and pushed, and the objects name its image.`,
		Example: `  rtbuild function render hello --runtime python3.13 --handler hello.handler --from-file hello.py | kubectl apply -f -`,
		Args:    oneFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			describe, ok := map[string]func(*function.Function) ([]kubernetes.Object, error){
				"kubernetes": kubernetes.Objects, "knative": kubernetes.Knative,
			}[engine]
			if !ok {
				return invocation.Usagef("--for %s: want kubernetes or knative", engine)
			}
			if err := o.checkImage(); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, s *session) error {
				f, err := s.functionOf(ctx, args[0], target.namespace, &o)
				if err != nil {
					return err
				}
				if err := s.intoImage(ctx, f, o.image); err != nil {
					return err
				}
				objects, err := describe(f)
				if err != nil {
					return err
				}
				return a.print(kubernetes.List(objects), func(out io.Writer) error { return writeYAML(out, objects) })
			})
		},
	}
	o.flags(cmd.Flags())
	o.imageFlags(cmd.Flags())
	cmd.Flags().StringVar(&engine, "for", "kubernetes", "what the objects are for: kubernetes or knative")
	return cmd
}
