package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
)

// newImage makes the image of a root file system in file: a tar archive, as it
// is or compressed with gzip. An archive that is compressed becomes the layer
// byte for byte. The file is read as the image is used, not held in memory.
func newImage(file string) (v1.Image, error) {
	if err := checkArchive(file); err != nil {
		return nil, err
	}
	created, certificates, err := examine(file)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return nil, err
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{CreatedBy: "rootfs", Created: v1.Time{Time: created}},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS = "linux"
	config.Architecture = runtime.GOARCH
	config.Created = v1.Time{Time: created}
	config.Config.Cmd = []string{"bash"}
	if certificates > 0 {
		config.Config.Labels = map[string]string{baseimage.LabelLocalOnly: fmt.Sprintf("trusts certificates of the machine that made it (%d)", certificates)}
	}
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return mutate.ConfigFile(image, config)
}

// hostCertificates are the files that customize.sh writes.
const hostCertificates = "usr/local/share/ca-certificates/host-"

// examine finds the time of the newest file in an archive, and how many of the
// host's certificates it holds. Images carry that time: their digest depends on
// the root file system alone, and what is built on them takes its time from it,
// which is to be later than that of packages' files.
func examine(file string) (newest time.Time, certificates int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return time.Time{}, 0, err
	}
	defer f.Close()
	var archive io.Reader = bufio.NewReader(f)
	if head, err := archive.(*bufio.Reader).Peek(2); err == nil && bytes.Equal(head, []byte{0x1f, 0x8b}) {
		if archive, err = gzip.NewReader(archive); err != nil {
			return time.Time{}, 0, err
		}
	}
	newest = time.Unix(0, 0)
	for entries := tar.NewReader(archive); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return newest.UTC(), certificates, nil
		}
		if err != nil {
			return time.Time{}, 0, err
		}
		if strings.HasPrefix(path.Clean(header.Name), hostCertificates) {
			certificates++
		}
		if header.ModTime.After(newest) {
			newest = header.ModTime.Truncate(time.Second)
		}
	}
}

// checkArchive refuses what would make an image that no engine can unpack:
// the layer's bytes are not looked at again before an engine does.
func checkArchive(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	// A tar archive has "ustar" at byte 257 of its first header.
	head := make([]byte, 262)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return errors.New("compressed with zstd, which not every engine reads; make it a .tar or .tar.gz")
	case bytes.HasSuffix(head, []byte("ustar")):
		return nil
	}
	return errors.New("neither a tar archive nor one compressed with gzip")
}
