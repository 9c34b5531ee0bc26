//go:build e2e

package differential

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// An image is what a registry's folder has of one digest.
type image struct {
	// content identifies the configuration and the files that a container sees,
	// times and rtbuild's labels left out.
	content string
	// description is what content is the hash of.
	description string
	// details are what is left out of it, too.
	details string
	// tokens are those in its layers.
	tokens map[string]bool
	// listed are the files and links that its label lists, by path; a folder's
	// path ends in a slash where it means what lies in it.
	listed map[string]bool
}

const labelInputs = "dev.rtbuild.inputs"

// store is the folder of an embedded registry.
type store string

func (s store) blob(digest v1.Hash) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(s), "docker/registry/v2/blobs", digest.Algorithm, digest.Hex[:2], digest.Hex, "data"))
}

// read takes an image apart, all its platforms.
func (s store) read(tb testing.TB, digest string) image {
	tb.Helper()
	read := image{tokens: map[string]bool{}, listed: map[string]bool{}}
	var description strings.Builder
	if err := s.describe(digest, &read, &description); err != nil {
		tb.Fatalf("reading the image %s: %v", digest, err)
	}
	read.description = description.String()
	sum := sha256.Sum256([]byte(read.description))
	read.content = hex.EncodeToString(sum[:])
	return read
}

func (s store) describe(digest string, into *image, out io.Writer) error {
	hash, err := v1.NewHash(digest)
	if err != nil {
		return err
	}
	raw, err := s.blob(hash)
	if err != nil {
		return err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return err
	}
	if !index.MediaType.IsIndex() {
		return s.describeOne(raw, into, out)
	}
	for _, m := range index.Manifests {
		fmt.Fprintln(out, "platform", m.Platform)
		if err := s.describe(m.Digest.String(), into, out); err != nil {
			return err
		}
	}
	return nil
}

func (s store) describeOne(raw []byte, into *image, out io.Writer) error {
	img, err := partial.CompressedToImage(&stored{store: s, raw: raw})
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	if err := into.list(config.Config.Labels[labelInputs]); err != nil {
		return err
	}
	for name := range config.Config.Labels {
		if strings.HasPrefix(name, "dev.rtbuild.") {
			delete(config.Config.Labels, name)
		}
	}
	settings, err := json.Marshal(config.Config)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", settings)
	whole, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	// A field a line.
	into.details += strings.ReplaceAll(string(raw)+string(whole), ",", ",\n") + "\n"
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	files := map[string]string{}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			return err
		}
		err = into.readLayer(content, files)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(out, "%s %s\n", name, files[name])
	}
	return nil
}

// list reads the files that an image's label lists.
func (i *image) list(label string) error {
	var inputs any
	if err := json.Unmarshal([]byte(label), &inputs); err != nil {
		return fmt.Errorf("the label %s, %q: %w", labelInputs, label, err)
	}
	fields, _ := inputs.(map[string]any)
	files, _ := fields["files"].(map[string]any)
	for name := range files {
		i.listed[name] = true
	}
	return nil
}

// readLayer looks for tokens in all files of a layer, also where another layer
// hides them, and describes in files what an image has. No case removes anything.
func (i *image) readLayer(layer io.Reader, files map[string]string) error {
	i.details += "layer\n"
	return eachFile(layer, func(header *tar.Header, content []byte) {
		i.details += fmt.Sprintf("%+v\n", *header)
		files[header.Name] = fmt.Sprintf("%c %o %d:%d %q %x", header.Typeflag, header.Mode, header.Uid, header.Gid, header.Linkname, sha256.Sum256(content))
		if zipped, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
			if unzipped, err := io.ReadAll(zipped); err == nil {
				content = unzipped
			}
		}
		for _, token := range tokens(string(content)) {
			i.tokens[token] = true
		}
	})
}

func eachFile(archive io.Reader, visit func(*tar.Header, []byte)) error {
	for r := tar.NewReader(archive); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		visit(header, content)
	}
}

// stored is an image in the store, by its manifest.
type stored struct {
	store
	raw []byte
}

func (s *stored) RawManifest() ([]byte, error) { return s.raw, nil }

func (s *stored) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func (s *stored) RawConfigFile() ([]byte, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(s.raw))
	if err != nil {
		return nil, err
	}
	return s.blob(manifest.Config.Digest)
}

func (s *stored) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	content, err := s.blob(digest)
	if err != nil {
		return nil, err
	}
	return &storedLayer{digest, content}, nil
}

type storedLayer struct {
	digest  v1.Hash
	content []byte
}

func (l *storedLayer) Digest() (v1.Hash, error) { return l.digest, nil }

func (l *storedLayer) Size() (int64, error) { return int64(len(l.content)), nil }

func (l *storedLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

func (l *storedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.content)), nil
}
