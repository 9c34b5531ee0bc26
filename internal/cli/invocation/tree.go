package invocation

import (
	"context"
	"os"
	"path/filepath"

	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// StateDir is the folder under the repository that holds what may be thrown
// away: the embedded registry and the embedded engine's cache.
const StateDir = ".rtbuild"

// Open finds the repository that the flags name, and reads its settings alone.
func (i *Invocation) Open() (*Settings, error) {
	folder, err := filepath.Abs(i.Flags.Directory)
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return nil, Usagef("--directory: %v", err)
	}
	i.Root = findRoot(folder, i.Flags.Manifest)
	if base, err := filepath.Rel(i.Root, folder); err == nil && base != "." {
		i.Base = filepath.ToSlash(base)
	}
	settings, err := i.SettingsOf(i.Root)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(i.machineSettings()); err == nil {
		i.Notef("settings of this machine: %s", i.machineSettings())
	}
	return settings, nil
}

// findRoot is the repository that a folder lies in: the nearest folder upwards that
// has a settings file or the root document. Nothing is looked for outside of the git
// repository. Without either it is the folder itself.
func findRoot(folder, manifestPath string) string {
	if manifestPath == "" {
		manifestPath = manifest.DefaultEntry
	}
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	for dir := folder; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, config.FileName)) || exists(fromRoot(dir, manifestPath)) {
			return dir
		}
		if dir == filepath.Dir(dir) || exists(filepath.Join(dir, ".git")) {
			return folder
		}
	}
}

// Manifests loads the manifests of the tree with these settings alone: enough for
// their ConfigMap. Nothing is traced to its source and no Dockerfile looked for, which
// takes longer than the rest.
func (i *Invocation) Manifests(ctx context.Context, s *Settings) (*manifest.Tree, error) {
	ev, err := i.Evaluator(s.Root, s.Config)
	if err != nil {
		return nil, err
	}
	return manifest.Load(ctx, ev, manifest.Options{Root: s.Root, Entry: s.Config.Manifest, Folders: s.Config.Roots, Unlocated: true})
}
