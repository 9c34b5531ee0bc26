// Package config reads rtbuild.yaml, the optional settings file at the root of
// a repository of runtimes.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/strictyaml"
)

// FileName is the settings file's name, at the root of a repository.
const FileName = "rtbuild.yaml"

// MachineFileName is the name of a settings file of one machine, in rtbuild's
// folder for state.
const MachineFileName = "settings.yaml"

// A Config holds the settings of a repository. The zero value is what holds
// without a file.
type Config struct {
	// Manifest is the root document; "runtimes.jsonnet" if empty.
	Manifest string `yaml:"manifest"`
	// Roots are the folders that hold runtime folders; stable and incubator
	// if empty.
	Roots []string `yaml:"roots"`
	// Jsonnet is what the root document is evaluated with.
	Jsonnet Jsonnet `yaml:",inline"`
	// Registry is the HOST[/PREFIX] to push to, or "local".
	Registry string `yaml:"registry"`
	// LockFile is the lock file of base images; "rtbuild.lock" if empty.
	LockFile string `yaml:"lockFile"`
	// InsecureRegistries are hosts spoken to over plain HTTP, besides
	// loopback.
	InsecureRegistries []string `yaml:"insecureRegistries"`
	// CAFiles are PEM files of certificates to trust at registries, besides
	// the system's.
	CAFiles []string `yaml:"caFiles"`
	// Builder is the build engine: auto, docker://, unix://…, tcp://…,
	// embedded.
	Builder string `yaml:"builder"`
	// Platforms are "os/arch[/variant]".
	Platforms []string `yaml:"platforms"`
	// Jobs is how many builds run at once; 0 for a default.
	Jobs int `yaml:"jobs"`
	// RewriteTimestamp bounds the times of files in layers by the image's, where
	// the engine can; nil is yes. See KeepsTimes.
	RewriteTimestamp *bool `yaml:"rewriteTimestamp"`
	// Labels are added to every image.
	Labels map[string]string `yaml:"labels"`
	// Mirrors say where base images are found: from a repository or the start
	// of one ("docker.io", "docker.io/library/debian") to HOST[/PREFIX];
	// the host "local" is the embedded registry.
	Mirrors map[string]string `yaml:"mirrors"`
	// Images are images that no manifest names, and that others are built
	// from.
	Images []Image `yaml:"images"`
	// ConfigMap describes what is published.
	ConfigMap Published `yaml:"configMap"`
	// Check is what rtbuild check is to leave out.
	Check Check `yaml:"check"`
}

// Check holds the settings of rtbuild check.
type Check struct {
	Ignore []Ignore `yaml:"ignore"`
}

// An Ignore leaves out warnings.
type Ignore struct {
	// Rule is the rule's name, Path a file or folder relative to the root that
	// findings are ignored in, all if empty, and Reason why.
	Rule   string `yaml:"rule"`
	Path   string `yaml:"path"`
	Reason string `yaml:"reason"`
}

// An Image is an image that no manifest names.
type Image struct {
	Name       string `yaml:"name"`
	Folder     string `yaml:"folder"`
	Dockerfile string `yaml:"dockerfile"`
	Repository string `yaml:"repository"`
	Tag        string `yaml:"tag"`
}

// Jsonnet is what a document is evaluated with, as the jsonnet command's flags
// of the same names say it: folders of libraries, and variables by name. Paths
// are relative to the root.
type Jsonnet struct {
	JPath       []string          `yaml:"jpath"`
	ExtStr      map[string]string `yaml:"extStr"`
	ExtCode     map[string]string `yaml:"extCode"`
	ExtStrFile  map[string]string `yaml:"extStrFile"`
	ExtCodeFile map[string]string `yaml:"extCodeFile"`
	TLAStr      map[string]string `yaml:"tlaStr"`
	TLACode     map[string]string `yaml:"tlaCode"`
	TLAStrFile  map[string]string `yaml:"tlaStrFile"`
	TLACodeFile map[string]string `yaml:"tlaCodeFile"`
}

// Published describes the ConfigMap that is published.
type Published struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
	// Data are keys beside runtime-images; they win over the defaults.
	Data map[string]string `yaml:"data"`
}

// Load reads rtbuild.yaml in root, and on top of it other files, which may set
// the same keys: their lists and plain values take the place of what was read
// before, entries of their maps are added. No file is no error. An unknown key, a
// wrong type and a second document are errors with file:line.
func Load(root string, others ...string) (*Config, error) {
	c := &Config{}
	for _, path := range append([]string{filepath.Join(root, FileName)}, others...) {
		source, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the settings: %w", err)
		}
		if err := strictyaml.Decode(path, source, c, "docs/CONFIGURATION.md"); err != nil {
			return nil, err
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return c, nil
}

func (c *Config) check() error {
	var errs []error
	if c.Jobs < 0 {
		errs = append(errs, fmt.Errorf("jobs: %d is less than 0", c.Jobs))
	}
	for _, root := range c.Roots {
		if !filepath.IsLocal(root) {
			errs = append(errs, fmt.Errorf("roots: %q lies outside of the repository", root))
		}
	}
	errs = append(errs, c.Jsonnet.check()...)
	for i, image := range c.Images {
		for key, value := range map[string]string{"name": image.Name, "folder": image.Folder, "repository": image.Repository} {
			if value == "" {
				errs = append(errs, fmt.Errorf("images[%d]: %s is missing", i, key))
			}
		}
	}
	for i, ignore := range c.Check.Ignore {
		for key, value := range map[string]string{"rule": ignore.Rule, "reason": ignore.Reason} {
			if value == "" {
				errs = append(errs, fmt.Errorf("check.ignore[%d]: %s is missing", i, key))
			}
		}
	}
	if _, ok := c.ConfigMap.Data["runtime-images"]; ok {
		errs = append(errs, errors.New("configMap.data: runtime-images comes from the manifests and cannot be set"))
	}
	return errors.Join(errs...)
}

// check refuses a variable that is set twice: which value holds would be a
// guess.
func (j *Jsonnet) check() []error {
	var errs []error
	for _, kinds := range [][]struct {
		key    string
		values map[string]string
	}{
		{{"extStr", j.ExtStr}, {"extCode", j.ExtCode}, {"extStrFile", j.ExtStrFile}, {"extCodeFile", j.ExtCodeFile}},
		{{"tlaStr", j.TLAStr}, {"tlaCode", j.TLACode}, {"tlaStrFile", j.TLAStrFile}, {"tlaCodeFile", j.TLACodeFile}},
	} {
		set := map[string]string{}
		for _, kind := range kinds {
			for _, name := range slices.Sorted(maps.Keys(kind.values)) {
				if other, ok := set[name]; ok {
					errs = append(errs, fmt.Errorf("%s: %s is set under %s already", kind.key, name, other))
				}
				set[name] = kind.key
			}
		}
	}
	return errs
}

// KeepsTimes tells whether the times of files in layers are to stay as the build
// made them.
func (c *Config) KeepsTimes() bool { return c.RewriteTimestamp != nil && !*c.RewriteTimestamp }
