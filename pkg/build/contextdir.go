package build

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ContextDigest hashes what an engine may read of a build context: names,
// modes, contents and link targets of all that the ignore file leaves, never
// times. dockerfileName is the Dockerfile's base name: its own ignore file
// (NAME.dockerignore) comes before .dockerignore, as in BuildKit.
func ContextDigest(dir, dockerfileName string) (string, error) {
	ignored, err := readIgnore(dir, dockerfileName)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = walkContext(dir, ".", ignored, func(file, rel string, entry fs.DirEntry) error {
		return hashEntry(sum, file, rel, entry)
	})
	if err != nil {
		return "", fmt.Errorf("reading the build context: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func readIgnore(dir, dockerfileName string) (*patternmatcher.PatternMatcher, error) {
	var patterns []string
	for _, name := range []string{dockerfileName + ".dockerignore", ".dockerignore"} {
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the ignore file: %w", err)
		}
		patterns, err = ignorefile.ReadAll(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, name), err)
		}
		break
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("reading the ignore file of %s: %w", dir, err)
	}
	return matcher, nil
}

func hashEntry(sum hash.Hash, file, rel string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%q %o %d\n", rel, info.Mode(), sizeOf(info))
	return writeContent(sum, file, info)
}

// writeContent writes a file's content, or a link's target.
func writeContent(w io.Writer, file string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular():
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%q\n", target)
		return err
	}
	return nil
}

// sizeOf is the length of a file's content; other entries' sizes depend on
// the file system.
func sizeOf(info fs.FileInfo) int64 {
	if info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

// LargeContext is the size, in bytes, above which a build context is worth a
// warning.
const LargeContext = 2 << 30

// A File is a file of a build context.
type File struct {
	// Path is relative to the context.
	Path string
	Size int64
}

// ContextSize adds up what an engine would be sent of a context, and finds
// the largest files in it, at most five, the largest first.
func ContextSize(dir, dockerfileName string) (total int64, largest []File, err error) {
	ignored, err := readIgnore(dir, dockerfileName)
	if err != nil {
		return 0, nil, err
	}
	err = walkContext(dir, ".", ignored, func(_, rel string, entry fs.DirEntry) error {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		total += info.Size()
		largest = append(largest, File{Path: rel, Size: info.Size()})
		slices.SortStableFunc(largest, func(a, b File) int { return cmp.Compare(b.Size, a.Size) })
		largest = largest[:min(5, len(largest))]
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("reading the build context: %w", err)
	}
	return total, largest, nil
}

// walkContext visits start, a path relative to the context dir, and what lies
// below it, less what the ignore file hides.
func walkContext(dir, start string, ignored *patternmatcher.PatternMatcher, visit func(file, rel string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(start)), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		native, err := filepath.Rel(dir, file)
		if err != nil || native == "." {
			return err
		}
		skip, err := ignored.MatchesOrParentMatches(native)
		if err != nil {
			return err
		}
		if skip {
			// An exception (!pattern) can bring back what lies deeper.
			if entry.IsDir() && !ignored.Exclusions() {
				return filepath.SkipDir
			}
			return nil
		}
		return visit(file, filepath.ToSlash(native), entry)
	})
}
