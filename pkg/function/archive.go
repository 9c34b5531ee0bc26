package function

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/ulikunitz/xz"
)

// An unpacker adds an archive of so many bytes to a tree.
type unpacker func(archive io.ReaderAt, size int64, t *tree) error

// unpackerOf is that for archives of this name, or nil if it is none's.
func unpackerOf(name string) unpacker {
	name = strings.ToLower(name)
	for _, kind := range []struct {
		suffixes []string
		unpack   unpacker
	}{
		{[]string{".zip"}, unzip},
		{[]string{".tar"}, compressed(func(r io.Reader) (io.Reader, error) { return r, nil })},
		{[]string{".tar.gz", ".tgz"}, compressed(func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })},
		{[]string{".tar.bz2", ".tbz2", ".tbz"}, compressed(func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil })},
		{[]string{".tar.xz", ".txz"}, compressed(func(r io.Reader) (io.Reader, error) {
			return xz.ReaderConfig{DictCap: largestWindow, SingleStream: false}.NewReader(r)
		})},
	} {
		for _, suffix := range kind.suffixes {
			if strings.HasSuffix(name, suffix) {
				return kind.unpack
			}
		}
	}
	return nil
}

// largestWindow is the most memory that reading .xz takes.
const largestWindow = 64 << 20

// compressed unpacks a tar that decompress reads.
func compressed(decompress func(io.Reader) (io.Reader, error)) unpacker {
	return func(archive io.ReaderAt, size int64, t *tree) error {
		stream, err := decompress(io.NewSectionReader(archive, 0, size))
		if err != nil {
			return err
		}
		// What is skipped counts too: a bomb may be of entries that nobody wants.
		return untar(&bounded{from: stream, left: 2*t.limits.Bytes + 4096*int64(t.limits.Files), limits: t.limits}, t)
	}
}

// bounded is a reader that fails when more comes than may.
type bounded struct {
	from   io.Reader
	left   int64
	limits Limits
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limits)
	}
	return n, err
}

func untar(stream io.Reader, t *tree) error {
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = t.folder(header.Name)
		case tar.TypeReg:
			err = t.file(header.Name, r, header.Mode&0o111 != 0)
		case tar.TypeSymlink:
			err = t.link(header.Name, header.Linkname)
		case tar.TypeLink:
			err = t.hardLink(header.Name, header.Linkname)
		case tar.TypeXGlobalHeader: // what git archive notes of the commit
		default:
			err = fmt.Errorf("entry %q is a device, a pipe or something else that is no file: only files, folders and links can be deployed", header.Name)
		}
		if err != nil {
			return err
		}
	}
}

// linkLimit is the longest target of a link.
const linkLimit = 4096

func unzip(archive io.ReaderAt, size int64, t *tree) error {
	r, err := zip.NewReader(archive, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // the tree refuses those by name
		return err
	}
	for _, entry := range r.File {
		if err := unzipEntry(entry, t); err != nil {
			return err
		}
	}
	return nil
}

func unzipEntry(entry *zip.File, t *tree) error {
	mode := entry.Mode()
	switch {
	case strings.HasSuffix(entry.Name, "/"), mode.IsDir():
		return t.folder(entry.Name)
	case !mode.IsRegular() && mode&fs.ModeSymlink == 0:
		return fmt.Errorf("entry %q is a device, a pipe or something else that is no file: only files, folders and links can be deployed", entry.Name)
	}
	content, err := entry.Open()
	if err != nil {
		return fmt.Errorf("entry %q: %w", entry.Name, err)
	}
	if mode&fs.ModeSymlink == 0 {
		return errors.Join(t.file(entry.Name, content, mode&0o111 != 0), content.Close())
	}
	target, err := io.ReadAll(io.LimitReader(content, linkLimit))
	if err == nil {
		err = t.link(entry.Name, string(target))
	}
	return errors.Join(err, content.Close())
}
