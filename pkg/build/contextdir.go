package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		skip, err := ignored.MatchesOrParentMatches(rel)
		if err != nil {
			return err
		}
		if skip {
			// An exclusion (!pattern) can bring back what lies deeper.
			if entry.IsDir() && !ignored.Exclusions() {
				return filepath.SkipDir
			}
			return nil
		}
		return hashEntry(sum, path, filepath.ToSlash(rel), entry)
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

func hashEntry(sum hash.Hash, path, rel string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%q %o %d\n", rel, info.Mode(), sizeOf(info))
	switch {
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(sum, f)
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		_, err = io.WriteString(sum, strings.ReplaceAll(target, "\n", `\n`)+"\n")
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
