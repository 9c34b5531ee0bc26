package invocation

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Settings are what a command works with in one tree: what flags and the
// environment say, else the tree's own rtbuild.yaml. The tree of another
// revision is resolved by the same function as today's, so that nothing but the
// two trees makes a difference.
type Settings struct {
	// Root is the tree's absolute path.
	Root                         string
	Config                       *config.Config
	Registry, Builder, LockFile  string
	Jobs                         int
	Platforms, Insecure, CAFiles []string
	Mirrors                      map[string]string
}

// machineSettings is the path of this machine's own settings file, which holds for
// every tree that one command looks at.
func (i *Invocation) machineSettings() string {
	return filepath.Join(i.Root, StateDir, config.MachineFileName)
}

// SettingsOf reads the settings file of the tree at root, and this machine's, and
// adds what flags and environment say.
func (i *Invocation) SettingsOf(root string) (*Settings, error) {
	c, err := config.Load(root, i.machineSettings())
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	return i.merge(root, c)
}

// merge adds what flags and environment say to a tree's settings file.
func (i *Invocation) merge(root string, c *config.Config) (*Settings, error) {
	set := i.set
	s := &Settings{
		Root: root, Config: c, LockFile: i.within(root, i.Flags.LockFile), Registry: i.Flags.Registry, Builder: i.Flags.Builder, Jobs: i.Flags.Jobs,
		Platforms: i.Flags.Platforms, Insecure: i.Flags.Insecure, CAFiles: i.Flags.CAFiles, Mirrors: map[string]string{},
	}
	if !set.Changed("registry") {
		s.Registry = c.Registry
	}
	if !set.Changed("builder") && c.Builder != "" {
		s.Builder = c.Builder
	}
	if !set.Changed("lock-file") && c.LockFile != "" {
		s.LockFile = c.LockFile
	}
	if !set.Changed("jobs") {
		s.Jobs = c.Jobs
	}
	if s.Jobs < 0 {
		return nil, Usagef("--jobs %d: want 1 or more, or 0 for the default", s.Jobs)
	}
	if s.Jobs == 0 {
		s.Jobs = 8
	}
	if !set.Changed("platform") {
		s.Platforms = c.Platforms
	}
	if !set.Changed("ca-file") {
		s.CAFiles = c.CAFiles
	}
	if !set.Changed("insecure-registry") {
		s.Insecure = c.InsecureRegistries
	}
	if set.Changed("manifest") {
		c.Manifest = i.within(root, i.Flags.Manifest)
	}
	for from, to := range c.Mirrors {
		s.Mirrors[from] = to
	}
	for _, pair := range i.Flags.Mirrors {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || from == "" || to == "" {
			return nil, Usagef("--mirror %q: write FROM=HOST[/PREFIX], as docker.io=mirror.example/hub", pair)
		}
		s.Mirrors[from] = to
	}
	return s, s.check()
}

// within is a path that a flag names, in the tree at root: one in today's tree
// is that tree's file, wherever the tree lies.
func (i *Invocation) within(root, path string) string {
	if !filepath.IsAbs(path) || root == i.Root {
		return path
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(folder, filepath.Base(path))
	}
	relative, err := filepath.Rel(i.Root, path)
	if err != nil || !filepath.IsLocal(relative) {
		return path // a file of no tree
	}
	return relative
}

// LockPath is where the lock file lies.
func (s *Settings) LockPath() string {
	if filepath.IsAbs(s.LockFile) {
		return s.LockFile
	}
	return filepath.Join(s.Root, s.LockFile)
}

func (s *Settings) check() error {
	for _, registry := range append([]string{s.Registry}, slices.Sorted(maps.Values(s.Mirrors))...) {
		if _, isLocal := LocalPrefix(registry); registry == "" || isLocal {
			continue
		}
		if err := reference.CheckRegistry(registry); err != nil {
			return &UsageError{Err: err}
		}
	}
	return nil
}

// LocalPrefix splits "local/prefix", a registry that is the embedded one, into
// "/prefix" and true.
func LocalPrefix(registry string) (string, bool) {
	prefix, ok := strings.CutPrefix(registry, "local")
	return prefix, ok && (prefix == "" || prefix[0] == '/')
}
