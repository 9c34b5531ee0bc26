package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/util/staticfs"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// A dockerfileMount is the folder that the engine reads the Dockerfile from.
// It exists in memory only: the Dockerfile in it may differ from the one on
// disk.
type dockerfileMount struct {
	files memoryFolder
	// ignore is the Dockerfile's own ignore file, nil where there is none.
	ignore []byte
}

// mountDockerfile puts the request's Dockerfile into a mount, and beside it
// its own ignore file from the context: engines look for
// NAME.dockerignore next to the Dockerfile, and for .dockerignore in the
// context.
func mountDockerfile(req build.Request) (dockerfileMount, error) {
	m := dockerfileMount{files: memoryFolder{staticfs.NewFS()}}
	m.files.Add(req.DockerfileName, &fstypes.Stat{Mode: 0o644}, req.Dockerfile)
	name := req.DockerfileName + ".dockerignore"
	ignore, err := os.ReadFile(filepath.Join(req.Context, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return dockerfileMount{}, fmt.Errorf("reading the ignore file: %w", err)
	}
	m.ignore = ignore
	m.files.Add(name, &fstypes.Stat{Mode: 0o644}, ignore)
	return m, nil
}

// sharedKey names the engine's mirrors of the build's folders. The engine
// brings a mirror up to date by size and modification time alone, and without
// a key all builds share one mirror: files of equal size and time in different
// contexts are then taken for each other. So the key covers every byte that is
// sent; the Dockerfile is apart from the context's digest because it may have
// been rewritten.
func (m dockerfileMount) sharedKey(req build.Request) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(req.ContextDigest), []byte(req.DockerfileName), req.Dockerfile, m.ignore} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// A memoryFolder is a flat folder of files in memory. It corrects staticfs,
// whose Walk takes its target for a prefix of names: asked for Dockerfile it
// would also walk Dockerfile.dockerignore, which the engine refuses.
type memoryFolder struct{ *staticfs.FS }

// Walk implements fsutil.FS.
func (m memoryFolder) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	name := strings.TrimPrefix(target, "/")
	return m.FS.Walk(ctx, target, func(path string, entry fs.DirEntry, err error) error {
		if name != "" && path != name {
			return nil
		}
		return fn(path, entry, err)
	})
}
