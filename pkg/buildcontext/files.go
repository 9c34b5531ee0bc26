package buildcontext

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// Files are what an image is made of in a context: a list that is made once,
// hashed, and sent to the engine as it is. It implements fsutil.FS.
//
// Modes are those that git keeps: a file is 0644, or 0755 where its owner may
// execute it, and a folder is 0755. Other permissions, owners, extended
// attributes and hard links are left out, because they are this checkout's
// alone: they follow from the umask and the user. So are sockets, pipes and
// devices, which no repository can hold.
type Files struct {
	root    string
	entries []*entry
	byPath  map[string]*entry
	changed changes
}

// An entry is a file, a folder or a symbolic link.
type entry struct {
	path string // relative to the context, with slashes
	mode fs.FileMode
	link string // a symbolic link's target
	// size and content, the SHA-256, are those of a file's bytes.
	size    int64
	content string
}

// Read lists and hashes what the paths reach in the context: paths as BuildKit
// gives them to who sends the context (local.followpaths), which may hold
// wildcards and lead through symbolic links; Everything; or none, for an image
// that reads nothing. Contents that hasher knows already are not read again.
func (d *Dir) Read(ctx context.Context, hasher *Hasher, paths []string) (*Files, error) {
	files := &Files{root: d.root, byPath: map[string]*entry{}}
	if len(paths) == 0 {
		return files, nil
	}
	err := d.walk(ctx, paths, func(rel string, stat *fstypes.Stat) error {
		if !utf8.ValidString(rel) || !utf8.ValidString(stat.Linkname) {
			return notUTF8(rel, stat.Linkname)
		}
		e := &entry{path: rel, mode: fs.FileMode(stat.Mode)}
		switch e.mode.Type() {
		case fs.ModeDir:
			e.mode = fs.ModeDir | 0o755
		case fs.ModeSymlink:
			e.mode, e.link = fs.ModeSymlink|0o777, stat.Linkname
		default:
			e.mode = 0o644 | e.mode&0o100 | e.mode&0o100>>3 | e.mode&0o100>>6
			var err error
			if e.content, e.size, err = hasher.hash(filepath.Join(d.root, filepath.FromSlash(rel))); err != nil {
				return err
			}
		}
		files.entries = append(files.entries, e)
		files.byPath[rel] = e
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the build context: %w", err)
	}
	return files, nil
}

// notUTF8 says that a file cannot be sent: the protocol of engines has text for
// names, and so has the label that lists them.
func notUTF8(rel, link string) error {
	what := "the name of %q is not UTF-8"
	if utf8.ValidString(rel) {
		what = "%q is a link to " + strconv.Quote(link) + ", which is not UTF-8"
	}
	return fmt.Errorf(what+", and cannot be sent to an engine: rename it, or have the ignore file hide it", rel)
}

// walk visits what the paths reach and the ignore file leaves, in the order in
// which it is sent.
func (d *Dir) walk(ctx context.Context, paths []string, visit func(rel string, stat *fstypes.Stat) error) error {
	all, err := fsutil.NewFS(d.root)
	if err != nil {
		return err
	}
	filtered, err := fsutil.NewFilterFS(all, &fsutil.FilterOpt{
		ExcludePatterns: d.excludes,
		FollowPaths:     paths,
		Map: func(path string, stat *fstypes.Stat) fsutil.MapResult {
			switch {
			case d.hidden != "" && path == d.hidden && fs.FileMode(stat.Mode).IsDir():
				return fsutil.MapResultSkipDir
			case fs.FileMode(stat.Mode)&(fs.ModeType&^fs.ModeDir&^fs.ModeSymlink) != 0, d.socket(path, stat):
				return fsutil.MapResultExclude
			}
			return fsutil.MapResultKeep
		},
	})
	if err != nil {
		return err
	}
	return filtered.Walk(ctx, "/", func(path string, dirEntry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := dirEntry.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*fstypes.Stat)
		if !ok {
			return fmt.Errorf("%s: unexpected description of a file: %T", path, info.Sys())
		}
		return visit(filepath.ToSlash(path), stat)
	})
}

// socket tells whether what looks like an empty file is a socket: BuildKit's walk
// takes that from its mode.
func (d *Dir) socket(path string, stat *fstypes.Stat) bool {
	if stat.Size > 0 || !fs.FileMode(stat.Mode).IsRegular() {
		return false
	}
	info, err := os.Lstat(filepath.Join(d.root, path))
	return err == nil && info.Mode()&fs.ModeSocket != 0
}

// Hashes are the entries by path: a hash, 64 hex digits, of what kind an entry
// is, whether it is executable, and its content or the link's target.
func (f *Files) Hashes() map[string]string {
	hashes := make(map[string]string, len(f.entries))
	for _, e := range f.entries {
		hashes[e.path] = e.hash()
	}
	return hashes
}

func (e *entry) hash() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %s", e.mode, e.link, e.content))
	return hex.EncodeToString(sum[:])
}

// Digest is a hash, 64 hex digits, of all entries.
func (f *Files) Digest() string {
	sum := sha256.New()
	for _, e := range f.entries {
		fmt.Fprintf(sum, "%q %s\n", e.path, e.hash())
	}
	return hex.EncodeToString(sum.Sum(nil))
}
