package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

const comment = "# Written by rtbuild: the digests of the base images. To update them, run: rtbuild lock --update\n"

const configsComment = "What the images say to builds on them."

// config is baseimage.Config as the file has it.
type config struct {
	Created    time.Time `yaml:"created,omitempty"`
	Env        []string  `yaml:"env,omitempty"`
	WorkingDir string    `yaml:"workingDir,omitempty"`
	User       string    `yaml:"user,omitempty"`
	Shell      []string  `yaml:"shell,omitempty"`
	OnBuild    []string  `yaml:"onbuild,omitempty"`
	LocalOnly  string    `yaml:"localOnly,omitempty"`
}

// Save writes the file if it has Changed. It replaces the file by a rename, so
// that a reader sees the old or the new content; equal entries give equal bytes.
// It is an error if the file is no longer what was loaded, or if an entry is
// malformed. After an error the file is as it was.
func (f *File) Save() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.equal(f.saved) {
		return nil
	}
	written, err := format(f.content)
	if err == nil {
		err = f.replace(written)
	}
	if err != nil {
		return fmt.Errorf("writing the lock file %s: %w", f.path, err)
	}
	f.saved, f.source = f.clone(), written
	return nil
}

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: value}
}

// format is the file that holds the content.
func format(c content) ([]byte, error) {
	entries := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(c.images)) {
		if err := reference.CheckDigest(c.images[key]); err != nil {
			return nil, fmt.Errorf("image %s: %w", key, err)
		}
		entries.Content = append(entries.Content, scalar(key), scalar(c.images[key]))
	}
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("version"), scalar(version), scalar("images"), entries}}
	if len(c.configs) > 0 {
		configs, err := formatConfigs(c.configs)
		if err != nil {
			return nil, err
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "configs", HeadComment: configsComment}, configs)
	}
	var b bytes.Buffer
	b.WriteString(comment)
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(root), encoder.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func formatConfigs(configs map[string]map[string]baseimage.Config) (*yaml.Node, error) {
	entries := &yaml.Node{Kind: yaml.MappingNode}
	for _, digest := range slices.Sorted(maps.Keys(configs)) {
		if err := reference.CheckDigest(digest); err != nil {
			return nil, fmt.Errorf("what an image says: %w", err)
		}
		platforms := &yaml.Node{Kind: yaml.MappingNode}
		for _, platform := range slices.Sorted(maps.Keys(configs[digest])) {
			value := &yaml.Node{}
			if err := value.Encode(config(configs[digest][platform])); err != nil {
				return nil, fmt.Errorf("what %s says: %w", digest, err)
			}
			platforms.Content = append(platforms.Content, scalar(platform), value)
		}
		entries.Content = append(entries.Content, scalar(digest), platforms)
	}
	return entries, nil
}

// replace puts content in the file's place.
func (f *File) replace(content []byte) (err error) {
	mode, err := f.check()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), f.path)
}

// check is the mode that the file is to have, or why it cannot be replaced.
func (f *File) check() (fs.FileMode, error) {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.source == nil:
		return 0o644, nil
	case errors.Is(err, fs.ErrNotExist):
		return 0, errors.New("it has been removed since it was read; run again")
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, errors.New("it is not a regular file")
	case info.Mode().Perm()&0o222 == 0:
		// Renaming would replace it all the same.
		return 0, fmt.Errorf("it is read-only (mode %s)", info.Mode())
	}
	present, err := os.ReadFile(f.path)
	if err != nil {
		return 0, err
	}
	if f.source == nil || !bytes.Equal(present, f.source) {
		return 0, errors.New("it has changed since it was read; run again")
	}
	return info.Mode().Perm(), nil
}
