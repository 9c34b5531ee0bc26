package main

import (
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func isComponent(name string) bool {
	return slices.Contains([]string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}, name)
}

// runComponent runs a component with the arguments in os.Args and returns its
// exit code. Only the one that runs is made: they register flags and features of
// the same names.
func runComponent(name string) int {
	var command *cobra.Command
	switch name {
	case "kube-controller-manager":
		command = controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		command = scheduler.NewSchedulerCommand()
	case "kubelet":
		command = kubelet.NewKubeletCommand()
	case "kube-proxy":
		command = kubeproxy.NewProxyCommand()
	default:
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
		return 0
	}
	return cli.Run(command)
}
