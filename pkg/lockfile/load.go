package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// version is the format that Load reads and Save writes.
const version = "1"

// Load reads the lock file at path. No file is one without entries. Anything
// that Save would not write, save for spacing, comments and order, is an error
// with path:line: an unknown key, another version, a reference that is not in
// full, a second entry for one, a malformed digest.
func Load(path string) (*File, error) {
	f := &File{path: path, content: newContent(), saved: newContent()}
	source, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lock file: %w", err)
	}
	if f.content, err = parse(path, source); err != nil {
		return nil, err
	}
	f.saved, f.source = f.clone(), source
	return f, nil
}

func parse(path string, source []byte) (content, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var document yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return content{}, fmt.Errorf("%s:1: is empty; remove the file, or restore it from version control", path)
	}
	if err != nil {
		return content{}, syntaxError(path, source, err)
	}
	var next yaml.Node
	if err := decoder.Decode(&next); err == nil {
		return content{}, fmt.Errorf("%s:%d: a second document begins; one is read", path, next.Line)
	} else if !errors.Is(err, io.EOF) {
		return content{}, syntaxError(path, source, err)
	}
	p := parser{path: path, content: newContent()}
	return p.content, p.file(document.Content[0])
}

// syntaxError puts what yaml says behind path:line. Most likely a merge has left
// its marks, which yaml cannot know.
func syntaxError(path string, source []byte, err error) error {
	number := 0
	for line := range bytes.Lines(source) {
		number++
		if bytes.HasPrefix(line, []byte("<<<<<<< ")) {
			return fmt.Errorf("%s:%d: a merge left a conflict here; resolve it, or remove the entries in question and have them resolved anew", path, number)
		}
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	number = 1
	if _, scanErr := fmt.Sscanf(text, "line %d:", &number); scanErr == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	return fmt.Errorf("%s:%d: %s", path, number, text)
}

// platformName matches the names of platforms.
var platformName = regexp.MustCompile(`^[a-z0-9]+(/[a-z0-9._-]+){1,2}$`)

// A parser collects the content of a file.
type parser struct {
	path string
	content
}

// at is an error at a node.
func (p *parser) at(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", p.path, node.Line, fmt.Errorf(format, args...))
}

func (p *parser) file(root *yaml.Node) error {
	keys, err := p.mapping(root, "the file")
	if err != nil {
		return err
	}
	if keys["version"] == nil {
		return p.at(root, "version is missing; want version: %s", version)
	}
	// First: another version may well have other keys.
	if v := keys["version"]; v.Kind != yaml.ScalarNode || v.Tag != "!!int" || v.Value != version {
		return p.at(v, "this rtbuild reads version %s alone, and the file has another; use the rtbuild that wrote it, or update this one", version)
	}
	for i := 0; i < len(root.Content); i += 2 {
		if key := root.Content[i]; !slices.Contains([]string{"version", "images", "configs", "onbuild"}, key.Value) {
			return p.at(key, "unknown key %q; the keys are version, images and configs", key.Value)
		}
	}
	// What was under onbuild, earlier versions' part of configs, is read anew.
	return errors.Join(p.each(keys["images"], "images", p.image), p.each(keys["configs"], "configs", p.platforms))
}

// each reads the entries of a mapping, which may be missing.
func (p *parser) each(node *yaml.Node, what string, entry func(key, value *yaml.Node) error) error {
	if node == nil || node.Tag == "!!null" {
		return nil
	}
	entries, err := p.mapping(node, what)
	if err != nil {
		return err
	}
	var errs []error
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		errs = append(errs, entry(key, entries[key.Value]))
	}
	return errors.Join(errs...)
}

// platforms reads what the image of one digest says for each platform.
func (p *parser) platforms(key, value *yaml.Node) error {
	if err := reference.CheckDigest(key.Value); err != nil {
		return p.at(key, "%w", err)
	}
	p.configs[key.Value] = map[string]baseimage.Config{}
	return p.each(value, "the image "+key.Value, func(platform, config *yaml.Node) error {
		if !platformName.MatchString(platform.Value) {
			return p.at(platform, "%q is not a platform: want os/architecture[/variant], as linux/amd64", platform.Value)
		}
		parsed, err := p.config(config)
		p.configs[key.Value][platform.Value] = parsed
		return err
	})
}

// config reads what an image says.
func (p *parser) config(node *yaml.Node) (baseimage.Config, error) {
	if _, err := p.mapping(node, "what an image says"); err != nil {
		return baseimage.Config{}, err
	}
	keys := []string{"created", "env", "workingDir", "user", "shell", "onbuild", "localOnly"}
	var read config
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(keys, key.Value) {
			return baseimage.Config{}, p.at(key, "unknown key %q; the keys are %s; remove the image's entry to have it read anew", key.Value, strings.Join(keys, ", "))
		}
	}
	if err := node.Decode(&read); err != nil {
		return baseimage.Config{}, p.at(node, "what an image says cannot be read: %s; remove the image's entry to have it read anew", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", ""))
	}
	return baseimage.Config(read), nil
}

// mapping is what a node maps strings to, each once.
func (p *parser) mapping(node *yaml.Node, what string) (map[string]*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, p.at(node, "%s must be a mapping", what)
	}
	values, lines := map[string]*yaml.Node{}, map[string]int{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			return nil, p.at(key, "a key of %s is not plain text", what)
		}
		if first, ok := lines[key.Value]; ok {
			return nil, p.at(key, "%q is here for the second time, after line %d; remove one", key.Value, first)
		}
		values[key.Value], lines[key.Value] = node.Content[i+1], key.Line
	}
	return values, nil
}

func (p *parser) image(key, value *yaml.Node) error {
	ref, err := reference.Parse(key.Value)
	if err != nil {
		return p.at(key, "%w", err)
	}
	if ref.Digest != "" {
		return p.at(key, "%s carries a digest, and so needs no entry; remove it", key.Value)
	}
	if full := Key(ref); full != key.Value {
		return p.at(key, "%s is not in full; write %s", key.Value, full)
	}
	if value.Kind != yaml.ScalarNode || value.Tag != "!!str" {
		return p.at(value, "the value of %s is not a digest: want sha256: and 64 lower-case hexadecimal digits", key.Value)
	}
	if err := reference.CheckDigest(value.Value); err != nil {
		return p.at(value, "%w", err)
	}
	p.images[key.Value] = value.Value
	return nil
}
