package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"github.com/moby/buildkit/util/staticfs"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// noIgnore is the ignore file of a context. What that hides is not
// sent, and to have it read once more, by an engine that might find another one
// in the context, could only hide more.
const noIgnore = "# What is ignored is left out of the context already.\n"

// mountDockerfile makes the folder that the engine reads the Dockerfile from.
// It exists in memory only: the Dockerfile in it may differ from the one on
// disk. Engines take NAME.dockerignore beside it for the ignore file.
func mountDockerfile(req build.Request) memoryFolder {
	files := memoryFolder{staticfs.NewFS()}
	files.Add(req.DockerfileName, &fstypes.Stat{Mode: 0o644}, req.Dockerfile)
	files.Add(req.DockerfileName+".dockerignore", &fstypes.Stat{Mode: 0o644}, []byte(noIgnore))
	return files
}

// sharedKey names the engine's mirrors of the build's folders. The engine
// brings a mirror up to date by size and modification time alone, and without
// a key all builds share one mirror: files of equal size and time in different
// contexts are then taken for each other. So the key covers every byte that is
// sent; the Dockerfile is apart from the context.
func sharedKey(req build.Request) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(req.Context.Digest()), []byte(req.DockerfileName), req.Dockerfile} {
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
