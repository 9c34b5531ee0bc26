package function

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// A Source is the files of a function.
type Source struct {
	// Origin is where they came from, for messages.
	Origin string
	Files  []File
	// Bundle is whether they keep their names, as those of a folder or an
	// archive do. A single file gets the name that the handler says.
	Bundle bool
	// Digest is the checksum of what was read, "sha256:…"; empty for a folder.
	Digest string
}

// A File goes into a volume.
type File struct {
	// Name is its path in the volume, with slashes: "pkg/mod.py".
	Name    string
	Content []byte
	// Executable is whether anybody may execute it.
	Executable bool
	// Link is what a symbolic link leads to, relative to the link's folder; it
	// has no content.
	Link string
}

// Has tells whether a file has this name.
func (s Source) Has(name string) bool {
	for _, file := range s.Files {
		if file.Name == name {
			return true
		}
	}
	return false
}

// Limits bound what a source may come to.
type Limits struct {
	// Bytes are those of all files, and of an archive before it is unpacked.
	Bytes int64
	// Files is their number.
	Files int
}

// DefaultLimits are generous for sources and tight for bombs.
func DefaultLimits() Limits { return Limits{Bytes: 256 << 20, Files: 20000} }

// Fetch gets what is at an address.
type Fetch func(ctx context.Context, address string) (io.ReadCloser, error)

// A Loader reads sources.
type Loader struct {
	Fetch  Fetch
	Limits Limits
}

// checksum is how a source's checksum is written.
var checksum = regexp.MustCompile(`^(sha256:)?[0-9a-fA-F]{64}$`)

// Load reads the source at a place: a file, a folder, an archive (.zip, .tar,
// .tar.gz, .tgz, .tar.bz2, .tar.xz) or an http(s) address of one of the first
// or third. A wanted checksum (sha256 in hex) is compared before anything is
// unpacked; empty compares nothing.
func (l Loader) Load(ctx context.Context, place, wanted string) (Source, error) {
	if place == "" {
		return Source{}, errors.New("a source is missing: a file, a folder, an archive or an address")
	}
	source, err := l.load(ctx, place, wanted)
	if err != nil {
		return Source{}, fmt.Errorf("reading the source %s: %w", place, err)
	}
	source.Origin = place
	return source, nil
}

func (l Loader) load(ctx context.Context, place, wanted string) (Source, error) {
	if wanted != "" && !checksum.MatchString(wanted) {
		return Source{}, fmt.Errorf("checksum %q: want sha256: and 64 hexadecimal digits", wanted)
	}
	name, content, err := l.read(ctx, place)
	if errors.Is(err, errFolder) {
		if wanted != "" {
			return Source{}, errors.New("a folder has no checksum: leave it out, or name a file, an archive or an address")
		}
		files, err := l.folder(place)
		return Source{Files: files, Bundle: true}, err
	}
	if err != nil {
		return Source{}, err
	}
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	if wanted != "" && !strings.EqualFold(strings.TrimPrefix(wanted, "sha256:"), digest) {
		return Source{}, fmt.Errorf("its checksum is sha256:%s, not %s: it is not what was meant, and was not unpacked", digest, wanted)
	}
	source := Source{Digest: "sha256:" + digest}
	unpack := unpackerOf(name)
	if unpack == nil {
		source.Files = []File{{Name: path.Base(filepath.ToSlash(name)), Content: content}}
		return source, nil
	}
	t := newTree(l.Limits)
	if err := unpack(bytes.NewReader(content), int64(len(content)), t); err != nil {
		return Source{}, fmt.Errorf("unpacking it: %w", err)
	}
	source.Bundle = true
	source.Files, err = t.finish()
	return source, err
}

// errFolder tells that a place is a folder.
var errFolder = errors.New("is a folder")

// read reads a file or what is at an address, and the name that it has there.
func (l Loader) read(ctx context.Context, place string) (name string, content []byte, err error) {
	if address, err := url.Parse(place); err == nil && (address.Scheme == "http" || address.Scheme == "https") {
		stream, err := l.Fetch(ctx, place)
		if err != nil {
			return "", nil, err
		}
		content, err = l.readAll(stream)
		return path.Base(address.Path), content, errors.Join(err, stream.Close())
	}
	info, err := os.Stat(place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, errors.New("there is no such file or folder")
	case err != nil:
		return "", nil, err
	case info.IsDir():
		return "", nil, errFolder
	case !info.Mode().IsRegular():
		return "", nil, errors.New("it is neither a file nor a folder")
	}
	file, err := os.Open(place)
	if err != nil {
		return "", nil, err
	}
	content, err = l.readAll(file)
	return place, content, errors.Join(err, file.Close())
}

func (l Loader) readAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, l.Limits.Bytes+1))
	if err == nil && int64(len(content)) > l.Limits.Bytes {
		err = tooLarge(l.Limits)
	}
	return content, err
}

// folder reads a folder, without what git keeps in it.
func (l Loader) folder(root string) ([]File, error) {
	t := newTree(l.Limits)
	err := filepath.WalkDir(root, func(full string, entry fs.DirEntry, err error) error {
		if err != nil || full == root {
			return err
		}
		relative, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		switch kind := entry.Type(); {
		case kind.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case kind.IsDir():
			return t.folder(name)
		case kind&fs.ModeSymlink != 0:
			target, err := os.Readlink(full)
			if err != nil {
				return err
			}
			return t.link(name, filepath.ToSlash(target))
		case !kind.IsRegular():
			return fmt.Errorf("%s is a device, a pipe or a socket: only files, folders and links can be deployed", name)
		}
		return t.readFile(name, full)
	})
	if err != nil {
		return nil, err
	}
	return t.finish()
}

func (t *tree) readFile(name, full string) error {
	file, err := os.Open(full)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = t.file(name, file, info.Mode()&0o111 != 0)
	}
	return errors.Join(err, file.Close())
}
