// Package config reads rtbuild.yaml, the optional settings file at the root of
// a repository of runtimes.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// FileName is the settings file's name, at the root of a repository.
const FileName = "rtbuild.yaml"

// A Config holds the settings of a repository. The zero value is what holds
// without a file.
type Config struct {
	// Manifest is the root document; "runtimes.jsonnet" if empty.
	Manifest string `yaml:"manifest"`
	// Roots are the folders that hold runtime folders; stable and incubator
	// if empty.
	Roots []string `yaml:"roots"`
	// Registry is the HOST[/PREFIX] to push to, or "local".
	Registry string `yaml:"registry"`
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
	// KeepFileTimes leaves the times of files in layers as the build made them.
	KeepFileTimes bool `yaml:"keepFileTimes"`
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
}

// An Image is an image that no manifest names.
type Image struct {
	Name       string `yaml:"name"`
	Folder     string `yaml:"folder"`
	Dockerfile string `yaml:"dockerfile"`
	Repository string `yaml:"repository"`
	Tag        string `yaml:"tag"`
}

// Published describes the ConfigMap that is published.
type Published struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
	// Data are keys beside runtime-images; they win over the defaults.
	Data map[string]string `yaml:"data"`
}

// Load reads rtbuild.yaml in root. No file is no error. An unknown key, a
// wrong type and a second document are errors with file:line.
func Load(root string) (*Config, error) {
	path := filepath.Join(root, FileName)
	source, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Config{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	c := &Config{}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, located(path, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: holds a second document; one is read", path)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// located turns yaml's "line 3: field x not found in type config.Config" into
// "path:3: unknown key x", one line for each.
func located(path string, err error) error {
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	errs := make([]error, 0, len(typeError.Errors))
	for _, text := range typeError.Errors {
		var line int
		if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
			text = text[strings.Index(text, ": ")+2:]
		}
		if rest, ok := strings.CutPrefix(text, "field "); ok {
			if key, _, ok := strings.Cut(rest, " not found in type "); ok {
				text = fmt.Sprintf("unknown key %q; docs/CONFIGURATION.md lists the keys", key)
			}
		}
		errs = append(errs, fmt.Errorf("%s:%d: %s", path, line, text))
	}
	return errors.Join(errs...)
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
	for i, image := range c.Images {
		for key, value := range map[string]string{"name": image.Name, "folder": image.Folder, "repository": image.Repository} {
			if value == "" {
				errs = append(errs, fmt.Errorf("images[%d]: %s is missing", i, key))
			}
		}
	}
	if _, ok := c.ConfigMap.Data["runtime-images"]; ok {
		errs = append(errs, errors.New("configMap.data: runtime-images comes from the manifests and cannot be set"))
	}
	return errors.Join(errs...)
}
