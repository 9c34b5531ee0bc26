package cli

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// settings is what a command works with in one tree: what flags and the
// environment say, else the tree's own rtbuild.yaml. The tree of another
// revision is resolved by the same function as today's, so that nothing but the
// two trees makes a difference.
type settings struct {
	// root is the tree's absolute path.
	root                         string
	config                       *config.Config
	registry, builder, lockFile  string
	jobs                         int
	platforms, insecure, caFiles []string
	mirrors                      map[string]string
}

// machineSettings is the path of this machine's own settings file, which holds for
// every tree that one command looks at.
func (a *app) machineSettings() string {
	return filepath.Join(a.root, stateDir, config.MachineFileName)
}

// settingsOf reads the settings file of the tree at root, and this machine's, and
// adds what flags and environment say.
func (a *app) settingsOf(root string) (*settings, error) {
	c, err := config.Load(root, a.machineSettings())
	if err != nil {
		return nil, &usageError{err: err}
	}
	return a.merge(root, c)
}

// merge adds what flags and environment say to a tree's settings file.
func (a *app) merge(root string, c *config.Config) (*settings, error) {
	set := a.set
	s := &settings{
		root: root, config: c, lockFile: a.within(root, a.flags.lockFile), registry: a.flags.registry, builder: a.flags.builder, jobs: a.flags.jobs,
		platforms: a.flags.platforms, insecure: a.flags.insecure, caFiles: a.flags.caFiles, mirrors: map[string]string{},
	}
	if !set.Changed("registry") {
		s.registry = c.Registry
	}
	if !set.Changed("builder") && c.Builder != "" {
		s.builder = c.Builder
	}
	if !set.Changed("lock-file") && c.LockFile != "" {
		s.lockFile = c.LockFile
	}
	if !set.Changed("jobs") {
		s.jobs = c.Jobs
	}
	if s.jobs < 0 {
		return nil, usagef("--jobs %d: want 1 or more, or 0 for the default", s.jobs)
	}
	if s.jobs == 0 {
		s.jobs = 8
	}
	if !set.Changed("platform") {
		s.platforms = c.Platforms
	}
	if !set.Changed("ca-file") {
		s.caFiles = c.CAFiles
	}
	if !set.Changed("insecure-registry") {
		s.insecure = c.InsecureRegistries
	}
	if set.Changed("manifest") {
		c.Manifest = a.within(root, a.flags.manifest)
	}
	for from, to := range c.Mirrors {
		s.mirrors[from] = to
	}
	for _, pair := range a.flags.mirrors {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || from == "" || to == "" {
			return nil, usagef("--mirror %q: write FROM=HOST[/PREFIX], as docker.io=mirror.example/hub", pair)
		}
		s.mirrors[from] = to
	}
	return s, s.check()
}

// within is a path that a flag names, in the tree at root: one in today's tree
// is that tree's file, wherever the tree lies.
func (a *app) within(root, path string) string {
	if !filepath.IsAbs(path) || root == a.root {
		return path
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(folder, filepath.Base(path))
	}
	relative, err := filepath.Rel(a.root, path)
	if err != nil || !filepath.IsLocal(relative) {
		return path // a file of no tree
	}
	return relative
}

// lockPath is where the lock file lies.
func (s *settings) lockPath() string {
	if filepath.IsAbs(s.lockFile) {
		return s.lockFile
	}
	return filepath.Join(s.root, s.lockFile)
}

func (s *settings) check() error {
	for _, registry := range append([]string{s.registry}, slices.Sorted(maps.Values(s.mirrors))...) {
		if _, isLocal := localPrefix(registry); registry == "" || isLocal {
			continue
		}
		if err := reference.CheckRegistry(registry); err != nil {
			return &usageError{err: err}
		}
	}
	return nil
}
