package cli

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
)

// kubelessFlags adds the flags of kubeless' own deploy and update that have
// nothing to do here, so that scripts go on: not listed, and see
// checkKubelessFlags.
func kubelessFlags(set *pflag.FlagSet) {
	set.Bool("headless", false, "nothing: a function has one address here")
	set.String("image-pull-policy", "Always", "nothing: an image that is not there is pulled")
	set.String("schedule", "", "refused")
	set.String("runtime-image", "", "refused")
	set.StringSlice("node-selectors", nil, "refused")
	set.String("service-account", "", "refused")
	set.Bool("dryrun", false, "refused")
	for _, name := range []string{"headless", "image-pull-policy", "schedule", "runtime-image", "node-selectors", "service-account", "dryrun"} {
		set.Lookup(name).Hidden = true
	}
}

// checkKubelessFlags refuses what a script cannot mean to go without.
func checkKubelessFlags(set *pflag.FlagSet) error {
	for _, refused := range [][2]string{
		{"schedule", "nothing here calls functions by the clock: have cron run rtbuild function call"},
		{"runtime-image", "functions run in the images of the tree's runtimes: add it to one, and name that with --runtime"},
		{"node-selectors", "a function's Pods go to any node: rtbuild function render prints the objects, to be changed before kubectl apply"},
		{"service-account", "a function's Pods have no token: rtbuild function render prints the objects, to be changed before kubectl apply"},
		{"dryrun", "rtbuild function render prints a function's Kubernetes objects and deploys nothing"},
	} {
		if set.Changed(refused[0]) {
			return invocation.Usagef("--%s: %s", refused[0], refused[1])
		}
	}
	policy, err := set.GetString("image-pull-policy")
	if err == nil && !slices.Contains([]string{"Always", "IfNotPresent", "Never"}, policy) {
		return invocation.Usagef("--image-pull-policy %s: want Always, IfNotPresent or Never", policy)
	}
	return err
}
