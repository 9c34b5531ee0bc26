package invocation

import (
	"strings"

	"github.com/spf13/pflag"
)

// Flags are those that several commands have, filled from the command line, then the
// environment, then rtbuild.yaml.
type Flags struct {
	Directory, Manifest, LockFile string
	Registry, Builder, Output     string
	Jobs                          int
	Platforms, Mirrors            []string
	Insecure, CAFiles             []string
	Jsonnet                       JsonnetFlags
	Quiet, Verbose                bool
}

// A FlagGroup is some of the flags that several commands have, and for which each
// command takes those that mean something to it.
type FlagGroup func(f *Flags, set *pflag.FlagSet)

// Groups are all that a command may take, besides Common.
func Groups() []FlagGroup {
	return []FlagGroup{(*Flags).Tree, (*Flags).Destination, (*Flags).Trust, (*Flags).Bases, (*Flags).Platform, (*Flags).Engine}
}

// Common are every command's.
func (f *Flags) Common(set *pflag.FlagSet) {
	set.StringVar(&f.Output, "output", "text", "form of results: text or json; of check also sarif and github")
	set.BoolVarP(&f.Quiet, "quiet", "q", false, "no progress")
	set.BoolVarP(&f.Verbose, "verbose", "v", false, "say more on stderr")
}

// Tree says which repository of runtimes it is, and how it is evaluated.
func (f *Flags) Tree(set *pflag.FlagSet) {
	f.Folder(set)
	set.StringVar(&f.Manifest, "manifest", "", "the root document (default runtimes.jsonnet)")
	f.Jsonnet.flags(set)
}

// Folder says in which repository it is.
func (f *Flags) Folder(set *pflag.FlagSet) {
	set.StringVarP(&f.Directory, "directory", "C", ".", "the repository of runtimes, or a folder in it")
}

// Destination says where images go.
func (f *Flags) Destination(set *pflag.FlagSet) {
	set.StringVar(&f.Registry, "registry", "", "push to `HOST[/PREFIX]` instead of where the manifests say; local[/PREFIX] is the embedded registry")
}

// Trust says how registries are spoken to.
func (f *Flags) Trust(set *pflag.FlagSet) {
	set.StringSliceVar(&f.Insecure, "insecure-registry", nil, "speak plain HTTP to `HOST[:PORT]`, may be repeated (loopback always does)")
	set.StringSliceVar(&f.CAFiles, "ca-file", nil, "trust the certificates in `FILE` (PEM) at registries, may be repeated; Docker and buildkitd have their own")
}

// Bases says where base images come from, and Platform for what.
func (f *Flags) Bases(set *pflag.FlagSet) {
	set.StringVar(&f.LockFile, "lock-file", "rtbuild.lock", "the lock file of base images")
	set.StringSliceVar(&f.Mirrors, "mirror", nil, "take base images `FROM=HOST[/PREFIX]`, as docker.io=mirror.example/hub; may be repeated")
}

// Platform says what images are built for.
func (f *Flags) Platform(set *pflag.FlagSet) {
	set.StringSliceVar(&f.Platforms, "platform", nil, "build for `OS/ARCH`, may be repeated (default: the engine's own)")
}

// Engine says what builds.
func (f *Flags) Engine(set *pflag.FlagSet) {
	set.StringVar(&f.Builder, "builder", "auto", "build engine: auto, docker://[CONTEXT], unix://SOCKET, tcp://HOST:PORT (a buildkitd), embedded")
	set.IntVar(&f.Jobs, "jobs", 0, "how many images to build at once (default 8)")
}

// All are the flags of all groups, and those of every command.
func (f *Flags) All(set *pflag.FlagSet) {
	f.Common(set)
	for _, group := range Groups() {
		group(f, set)
	}
}

// Environment fills shared flags that the command line leaves out from RTBUILD_*
// variables. set holds the flags as the command line was read into them.
func (i *Invocation) Environment(set *pflag.FlagSet) error {
	shared := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Flags).All(shared)
	var err error
	set.VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed || shared.Lookup(f.Name) == nil {
			return
		}
		name := "RTBUILD_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := i.LookupEnv(name)
		if !ok || value == "" {
			return
		}
		if setErr := set.Set(f.Name, value); setErr != nil {
			err = Usagef("%s=%s: %v", name, value, setErr)
		}
	})
	if err == nil && i.Flags.Quiet && i.Flags.Verbose {
		err = Usagef("--quiet and --verbose contradict each other")
	}
	i.set = set
	return err
}
